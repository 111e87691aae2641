"""The run as it becomes a report: one listener that the files are written from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from samplerfuzz import __version__
from samplerfuzz.checks.finding import SEVERITIES, Finding
from samplerfuzz.engine.events import (
    INTERRUPTED,
    Checkpoint,
    Event,
    FindingConfirmed,
    FindingFound,
    RunFinished,
    RunStarted,
    TargetFinished,
    TargetStarted,
)
from samplerfuzz.report.schema import CaseEntry, FindingEntry, Report, TargetEntry
from samplerfuzz.report.text import json_ready


class Recorder:
    """Collect events; `report()` is the run so far, `findings` the found values themselves."""

    def __init__(self, *, started: datetime) -> None:
        self.started = started
        self.findings: dict[tuple[str, str], Finding] = {}
        self.reproducers: dict[tuple[str, str], str] = {}
        self._settings: dict[str, Any] = {}
        self._targets: dict[str, TargetStarted] = {}
        self._numbers: dict[str, Checkpoint | TargetFinished] = {}
        self._finished: dict[str, TargetFinished] = {}
        self._end = RunFinished(status=INTERRUPTED, reason="the run did not end", seconds=0.0)

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, RunStarted):
            resumed = {"times_resumed": event.times_resumed} if event.times_resumed else {}
            self._settings = {**event.settings, **resumed}
        elif isinstance(event, TargetStarted):
            self._targets[event.target] = event
        elif isinstance(event, FindingConfirmed | FindingFound):
            self._keep(event.finding)
        elif isinstance(event, Checkpoint):
            self._numbers[event.target] = event
        elif isinstance(event, TargetFinished):
            self._numbers[event.target] = event
            if event.complete:
                self._finished[event.target] = event
            for finding in event.findings:
                self._keep(finding)
        elif isinstance(event, RunFinished):
            self._end = event

    def _keep(self, finding: Finding) -> None:
        self.findings[finding.target, finding.id] = finding

    @property
    def known(self) -> dict[str, str]:
        """Return id -> reason of what the baseline accepts."""
        accepted: dict[str, str] = self._settings.get("accepted", {})
        return accepted

    def ordered(self) -> list[Finding]:
        """Return the findings, the most severe first, then as found."""
        return sorted(self.findings.values(), key=lambda f: -SEVERITIES.index(f.violation.severity))

    def report(self) -> Report:
        """Return the whole run as data."""
        return Report(
            version=__version__,
            seed=self._settings.get("seed"),
            started=self.started.isoformat(timespec="seconds"),
            seconds=round(self._end.seconds, 3),
            settings=json_ready(self._settings),
            status=self._end.status,
            reason=self._end.reason,
            alpha_spent=self._end.alpha_spent,
            targets=[self._target(name) for name in self._targets],
            findings=[entry(f, self.reproducers.get((f.target, f.id)), self.known.get(f.id)) for f in self.ordered()],
        )

    def _target(self, name: str) -> TargetEntry:
        begun, done = self._targets[name], self._finished.get(name)
        numbers = done or self._numbers.get(name)
        seconds = numbers.seconds if numbers else 0.0
        pairs = numbers.pairs if numbers else 0
        return TargetEntry(
            target=name,
            order=list(begun.order),
            order_was_assumed=begun.order_was_assumed,
            returns=begun.returns,
            seconds=round(seconds, 3),
            calls=numbers.calls if numbers else 0,
            pairs=pairs,
            draws=numbers.draws if numbers else 0,
            pairs_per_second=round(pairs / seconds, 1) if seconds > 0 else 0.0,
            outcomes=numbers.outcomes if numbers else {},
            checks=numbers.checks if numbers else {},
            covered=numbers.covered if numbers else {},
            skipped=numbers.skipped if isinstance(numbers, TargetFinished) else {},
            strategies=done.strategies if done else {},
            matrix=done.matrix if done else {},
            cells=done.cells if done else 0,
            last_new=round(done.last_new, 3) if done else 0.0,
            findings=[f.id for f in self.findings.values() if f.target == name],
            complete=name in self._finished,
        )


def entry(finding: Finding, reproducer: str | None, known: str | None = None) -> FindingEntry:
    """Return the entry of `findings[]` for one finding; `known` says why it is accepted."""
    data = json_ready(finding.to_json())
    return FindingEntry(
        **{**data, "seconds": round(finding.seconds, 3), "case": CaseEntry(**data["case"]), "reproducer": reproducer, "known": known}
    )
