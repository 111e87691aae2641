"""A worker of xdist died: which call of the sampler was under way, and does it end a process of its own too?"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rich.console import Console

from samplerfuzz.cases import Case
from samplerfuzz.checks.finding import Finding, fingerprint
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.checks.registry import Check, load_all
from samplerfuzz.core.errors import SamplerFuzzError, UsageError
from samplerfuzz.engine.events import INTERRUPTED, FindingFound, RunFinished
from samplerfuzz.engine.history import history_of
from samplerfuzz.engine.run import FINDINGS
from samplerfuzz.engine.shrink import EFFORT, shrink
from samplerfuzz.plugin.conformance import CALL_FILE, block
from samplerfuzz.plugin.session import Session
from samplerfuzz.report import reporters
from samplerfuzz.report.events_log import LOG_NAME, EventsLog
from samplerfuzz.report.files import write_atomically
from samplerfuzz.report.finding_text import input_lines
from samplerfuzz.stats import ErrorBudget
from samplerfuzz.targets import isolated
from samplerfuzz.targets.target import Outcome, TargetSpec
from samplerfuzz.targets.written import call_under_way

_LOAD_LIMIT_S = 60.0
_SHOWN = 4
_CHECKS = ("process_survives", "call_returns")


def crashed(test: str, session: Session) -> str:
    """Return what a person is told of the call of test `test` in which its process has ended; "" where it was in no call.

    The case is written to the call's directory. Where its function can be loaded in a process of its own and ends that one too, or
    hangs there, that is a finding like any other, shrunk and reported; what does not show a second time is only told.

    Raises:
      UsageError: a file cannot be read or written.
    """
    # xdist appends the name of a group
    for name in dict.fromkeys([test, test.rpartition("@")[0]]):
        calls = (session.directory_of(name, call) for call in itertools.count(1))
        for directory in itertools.takewhile(Path.is_dir, calls):
            under_way = call_under_way(directory / CALL_FILE)
            if under_way is not None:
                return _told(directory, *under_way, session)
    return ""


def _told(directory: Path, spec: TargetSpec, case: Case, session: Session) -> str:
    path = write_atomically(directory / "cases" / "under_way.json", json.dumps(case.to_json(), indent=1, allow_nan=False) + "\n")
    lines = [f"samplerfuzz: the worker died in this call of {spec.locator}, case {session.shown(path)}"]
    try:
        finding = _confirmed(spec, case)
    except SamplerFuzzError as error:
        reason = "it has no name to load it by in a process of its own" if "<" in spec.locator else str(error)
        finding = None
    else:
        reason = "called alone, in a process of its own, it answers"
    _end(directory, finding, session)
    if finding is not None:
        return "\n".join([*lines, block(finding, directory, session, named=True)])
    few = case.take(list(range(min(case.rows, _SHOWN))))
    inputs = [f"  {name:<12} {value}" for name, value in input_lines(few, -1, spec.per_row)]
    rest = [f"  and {case.rows - few.rows} more rows"] if case.rows > few.rows else []
    return "\n".join([*lines, *inputs, *rest, f"not confirmed as the cause: {reason}"])


def _confirmed(spec: TargetSpec, case: Case) -> Finding | None:
    """Return what the call does to a process of its own, shrunk; None where it answers."""
    declaration = {
        "order": list(spec.order),
        "returns": spec.returns,
        "per_row": spec.per_row,
        "negative_temperature": spec.negative_temperature,
        "zero_temperature": spec.zero_temperature,
        "dialect": spec.dialect or None,
        "dtype": spec.dtype,
        "draws_in": spec.draws_in or None,
        "domain": dict(spec.domain),
    }
    if "<" in spec.locator:
        raise UsageError(f"{spec.locator!r} is no FILE.py:NAME")
    with contextlib.closing(isolated.load_target(spec.locator, load_limit=_LOAD_LIMIT_S, declaration=declaration)) as target:
        for check in (load_all()[name] for name in _CHECKS):
            if check.examine(target, case):
                return _shrunk(check, target, case)
    return None


def _shrunk(check: Check, target: isolated.IsolatedTarget, case: Case) -> Finding | None:
    effort = EFFORT[check.id]
    small = shrink(case, lambda smaller: bool(check.examine(target, smaller)), seconds=effort.seconds, calls=effort.calls)
    violation = next(iter(check.examine(target, small)), None)
    if violation is None:
        return None
    spec = target.spec
    legal = bool(Judgement(spec, small, Outcome(kind="raised")).legal.all())
    return Finding.of(spec, violation, small, id=fingerprint(check.id, spec.locator, legal=legal))


def _end(directory: Path, finding: Finding | None, session: Session) -> None:
    """Tell the log of the call how it ended, and write its reports."""
    log = EventsLog(directory / LOG_NAME)
    past = history_of(log.events())
    if past is None:
        log.close()
        return
    found = (*past.findings, *([finding] if finding else []))
    with reporters(
        directory,
        console=Console(file=io.StringIO()),
        quiet=True,
        as_json=False,
        started=datetime.fromisoformat(session.started),
        log=log,
        past=past,
    ) as listener:
        listener(replace(past.started, times_resumed=past.started.times_resumed + 1))
        if finding is not None:
            listener(FindingFound(finding=finding))
        listener(
            RunFinished(
                status=FINDINGS if finding else INTERRUPTED,
                reason="the process died in a call",
                seconds=past.seconds,
                findings=found,
                alpha_spent=ErrorBudget(past.started.settings["alpha"], started=past.tests).spent,
            )
        )
