"""One report of a run of pytest, merged from what its tests have left on disk: whoever ran them, and however that ended."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from samplerfuzz import __version__
from samplerfuzz.checks.finding import SEVERITIES, Finding
from samplerfuzz.engine.events import INTERRUPTED, Event, RunStarted
from samplerfuzz.engine.run import CLEAN, FINDINGS, NOTHING_TESTED
from samplerfuzz.plugin.session import Session
from samplerfuzz.report.events_log import LOG_NAME, read_events
from samplerfuzz.report.recorder import Recorder
from samplerfuzz.report.reporters import write_reports
from samplerfuzz.report.schema import FindingEntry, Report
from samplerfuzz.stats import ALPHA


@dataclass(frozen=True, kw_only=True)
class _Call:
    """One call of a test, as its directory tells it."""

    test: str
    name: str
    recorder: Recorder

    @property
    def report(self) -> Report:
        return self.recorder.report()


def merge(session: Session) -> Report | None:
    """Write the report of this run of pytest and return it; None where no test has fuzzed.

    Targets are named by the tests, calls after the first with their number. Directories that an earlier run of pytest has left
    beside those of this one are removed.

    Raises:
      UsageError: a file cannot be read or written.
    """
    calls, stale = [], []
    for log in sorted(session.tests.glob(f"*/{LOG_NAME}")):
        call = _call(log, session)
        if call is None:
            stale.append(log.parent)
        else:
            calls.append(call)
    if not calls:
        return None
    for directory in stale:
        shutil.rmtree(directory, ignore_errors=True)
    calls.sort(key=lambda call: call.name)
    entries, findings = _findings(calls)
    status = _status([call.report.status for call in calls])
    n, tests = len(entries), len({call.test for call in calls})
    report = Report(
        version=__version__,
        seed=session.seed,
        started=session.started,
        seconds=round(sum(call.report.seconds for call in calls), 3),
        settings={"session": session.id, "tests": tests, "fail_on": session.fail_on, "alpha": ALPHA},
        status=status,
        reason=f"{n} finding{'s' * (n != 1)} in {tests} test{'s' * (tests != 1)}" if n else _REASONS[status],
        alpha_spent=sum(call.report.alpha_spent for call in calls),
        targets=[
            target.model_copy(update={"target": call.name, "findings": [f.id for f in entries if f.target == call.name]})
            for call in calls
            for target in call.report.targets
        ],
        findings=entries,
    )
    directory = Path(session.directory)
    sources = {f.id: path.read_text(encoding="utf-8") for f in entries if f.reproducer and (path := directory / f.reproducer).is_file()}
    write_reports(directory, report, findings, sources)
    return report


_REASONS = {
    CLEAN: "nothing found",
    NOTHING_TESTED: "a test reached no verdict",
    INTERRUPTED: "a test did not end",
    FINDINGS: "a finding",
}


def _call(log: Path, session: Session) -> _Call | None:
    """Return the call whose log this is; None where another run of pytest has written it."""
    events: list[Event] = list(read_events(log))
    begun = next((event.settings for event in events if isinstance(event, RunStarted)), {})
    if begun.get("session") != session.id:
        return None
    recorder = Recorder(started=datetime.fromisoformat(session.started))
    for event in events:
        recorder(event)
    for target, id in recorder.findings:
        if (path := log.parent / "findings" / f"{id}.py").is_file():
            recorder.reproducers[target, id] = path.relative_to(session.directory).as_posix()
    number = f" (call {begun['call']})" if begun["call"] > 1 else ""
    copy = f" on {begun['worker']}" if begun["worker"] else ""
    return _Call(test=begun["test"], name=f"{begun['test']}{number}{copy}", recorder=recorder)


def _findings(calls: Sequence[_Call]) -> tuple[list[FindingEntry], list[Finding]]:
    """Return all findings, the most severe first, as entries and as found; what two tests found of one function gets two ids."""
    seen: Counter[str] = Counter()
    pairs = []
    for call in calls:
        for entry, finding in zip(call.report.findings, call.recorder.ordered(), strict=True):
            seen[entry.id] += 1
            id = entry.id if seen[entry.id] == 1 else f"{entry.id}-{seen[entry.id]}"
            pairs.append((entry.model_copy(update={"id": id, "target": call.name}), replace(finding, id=id, target=call.name)))
    pairs.sort(key=lambda pair: -SEVERITIES.index(pair[0].severity))
    return [entry for entry, _ in pairs], [finding for _, finding in pairs]


def _status(statuses: Sequence[int]) -> int:
    return next((status for status in (FINDINGS, NOTHING_TESTED, INTERRUPTED) if status in statuses), CLEAN)
