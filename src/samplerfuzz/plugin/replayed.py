"""Recorded findings of a test, run again in that test: the only way to a function that no other process can import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from samplerfuzz.checks.registry import load_all
from samplerfuzz.engine.history import history_of
from samplerfuzz.engine.replay import FIXED, replay
from samplerfuzz.plugin.conformance import Asked, Test, opened
from samplerfuzz.plugin.session import Session
from samplerfuzz.report.events_log import LOG_NAME, read_events
from samplerfuzz.report.recorded import recorded_findings
from samplerfuzz.report.text import printable


def replayed(function: Callable[..., Any] | str, asked: Asked, test: Test, session: Session) -> tuple[int, list[str]]:
    """Return how many recorded findings this call has, and a line for each that is not fixed.

    Where the session names the report directory of a run of pytest they are those of the same call of the same test, otherwise those
    of the same function.

    Raises:
      UsageError: what is named holds no findings.
    """
    source = Path(session.invoked) / session.replay
    own = source / "tests" / session.directory_of(test.id, test.call).name
    with opened(function, asked, test, session) as target:
        if any(source.glob(f"tests/*/{LOG_NAME}")):
            run = history_of(read_events(own / LOG_NAME)) if (own / LOG_NAME).is_file() else None
            findings = list(run.findings) if run else []
        else:
            findings = [finding for finding in recorded_findings(source) if finding.target == target.spec.locator]
        replays = list(replay(findings, load_all(), lambda locator: target))
    return len(replays), [
        f"{item.status}  {item.finding.id}  {item.finding.violation.check}: {printable(item.message)}"
        for item in replays
        if item.status != FIXED
    ]
