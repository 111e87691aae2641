"""Every output of a run behind one listener."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from types import TracebackType

from rich.console import Console

from samplerfuzz.checks.finding import Finding
from samplerfuzz.engine.events import Event, FindingFound, RunFinished
from samplerfuzz.report.events_log import EventsLog
from samplerfuzz.report.files import make_directory, write_atomically
from samplerfuzz.report.html import report_html
from samplerfuzz.report.json_report import report_json
from samplerfuzz.report.junit import junit_xml
from samplerfuzz.report.recorder import Recorder
from samplerfuzz.report.reproducer import write_reproducer
from samplerfuzz.report.sarif import sarif_json
from samplerfuzz.report.terminal import TerminalReporter


class Reporters:
    """Write the report directory and show the run; use as `with reporters(...) as listener`."""

    def __init__(self, directory: Path, *, console: Console, quiet: bool, as_json: bool, started: datetime) -> None:
        self.directory = make_directory(directory)
        self.recorder = Recorder(started=started)
        self.terminal = None if as_json else TerminalReporter(console, quiet, directory)
        self._log = EventsLog(directory / "events.jsonl")

    def __call__(self, event: Event) -> None:
        """Record, write and show one event; what is shown is on disk already."""
        self._log(event)
        self.recorder(event)
        if isinstance(event, FindingFound):
            self._write_finding(event.finding)
        elif isinstance(event, RunFinished):
            self._write_report()
        if self.terminal is not None:
            self.terminal(event)
        elif isinstance(event, RunFinished):
            sys.stdout.write(report_json(self.recorder.report()))
            sys.stdout.flush()

    def close(self) -> None:
        """Give the screen back and close the log."""
        if self.terminal is not None:
            self.terminal.close()
        self._log.close()

    def __enter__(self) -> Reporters:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _write_finding(self, finding: Finding) -> None:
        path = write_reproducer(finding, self.directory / "findings")
        self.recorder.reproducers[finding.target, finding.id] = path.relative_to(self.directory).as_posix()
        write_atomically(
            self.directory / "cases" / f"{finding.id}.json", json.dumps(finding.case.to_json(), indent=1, allow_nan=False) + "\n"
        )

    def _write_report(self) -> None:
        report = self.recorder.report()
        sources = {
            f.id: path.read_text(encoding="utf-8")
            for f in report.findings
            if f.reproducer and (path := self.directory / f.reproducer).is_file()
        }
        write_atomically(self.directory / "report.json", report_json(report))
        write_atomically(self.directory / "junit.xml", junit_xml(report))
        write_atomically(self.directory / "sarif.json", sarif_json(report))
        write_atomically(self.directory / "report.html", report_html(report, self.recorder.ordered(), sources))


def reporters(directory: Path, *, console: Console, quiet: bool, as_json: bool, started: datetime) -> Reporters:
    """Return the listener of a run.

    Args:
      directory: gets events.jsonl, report.json, report.html, junit.xml, sarif.json, findings/ and cases/.
      console: for people; not used with `as_json`, where stdout gets report.json at the end and nothing else.
      quiet: only findings and one summary line.
      started: shown in the reports, with its time zone.

    Raises:
      UsageError: the directory cannot be written.
    """
    return Reporters(directory, console=console, quiet=quiet, as_json=as_json, started=started)
