"""Every output of a run behind one listener."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType

from rich.console import Console

from samplerfuzz.cases import corpus
from samplerfuzz.checks.finding import Finding
from samplerfuzz.core.errors import SamplerFuzzError, UsageError
from samplerfuzz.engine.events import BehaviourMet, Event, FindingConfirmed, FindingFound, RunFinished, RunStarted, TargetFinished
from samplerfuzz.engine.history import RunHistory
from samplerfuzz.report import github
from samplerfuzz.report.events_log import LOG_NAME, EventsLog
from samplerfuzz.report.files import make_directory, write_atomically, writing
from samplerfuzz.report.html import report_html
from samplerfuzz.report.json_report import report_json
from samplerfuzz.report.junit import junit_xml
from samplerfuzz.report.recorder import Recorder
from samplerfuzz.report.reproducer import write_reproducer
from samplerfuzz.report.sarif import sarif_json
from samplerfuzz.report.schema import Report
from samplerfuzz.report.terminal import TerminalReporter
from samplerfuzz.report.text import json_ready


class Reporters:
    """Write the report directory and show the run; use as `with reporters(...) as listener`.

    What is shown is on disk already: a finding has its line in the log, its case and its reproducer before its block is printed,
    and the run is finished for the log once its reports are written. Only where the disk is full is a finding shown without.
    """

    def __init__(
        self,
        directory: Path,
        *,
        console: Console,
        quiet: bool,
        as_json: bool,
        started: datetime,
        log: EventsLog | None = None,
        past: RunHistory | None = None,
        keep: Path | None = None,
    ) -> None:
        self.directory = make_directory(directory)
        self.recorder = Recorder(started=started)
        self.terminal = None if as_json else TerminalReporter(console, quiet, directory)
        self._corpus = keep
        self._log = log or EventsLog(directory / LOG_NAME)
        self._past = list(past.events()) if past else []
        self._shown: set[tuple[str, str]] = set()
        self._ended = False
        for event in self._past:
            self.recorder(event)

    def __call__(self, event: Event) -> None:
        """Record, write and show one event."""
        try:
            self._record(event)
        except UsageError:
            if self.terminal is not None:
                self.terminal.directory = None  # no file of it may be named: it need not be there
            self._show(FindingFound(finding=event.finding) if isinstance(event, FindingConfirmed) else event)
            raise
        self._show(event)

    def close(self) -> None:
        """Give the screen back and close the log."""
        if self.terminal is not None:
            self.terminal.close()
        self._log.close()

    def __enter__(self) -> Reporters:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, SamplerFuzzError) and not self._ended:
            with contextlib.suppress(UsageError):  # the first error is the one to tell
                self._show_what_there_is()
        self.close()

    def _record(self, event: Event) -> None:
        self.recorder(event)
        if isinstance(event, BehaviourMet):
            if self._corpus is not None:
                write_atomically(self._corpus / corpus.file_of(event.case), corpus.text_of(event.case))
            return
        if isinstance(event, RunFinished):
            self._write_report()
        self._log(event)
        if isinstance(event, FindingFound):
            self._write_finding(event.finding)
        elif isinstance(event, RunStarted):
            for finding in (e.finding for e in self._past if isinstance(e, FindingFound)):
                self._write_finding(finding)
        elif isinstance(event, TargetFinished):
            for finding in self._missed(event, set(self.recorder.reproducers)):
                self._write_finding(finding)

    def _show(self, event: Event) -> None:
        with _showing():
            if self.terminal is not None:
                self._show_on(self.terminal, event)
            elif isinstance(event, RunFinished):
                _print_json(self.recorder)
            if isinstance(event, RunFinished) and os.environ.get("GITHUB_ACTIONS") == "true":
                self._annotate()
        self._ended = self._ended or isinstance(event, RunFinished)

    def _annotate(self) -> None:
        """Tell GitHub Actions, which reads both streams: standard output may be report.json."""
        report = self.recorder.report()
        for line in github.annotation_lines(report):
            print(line, file=sys.stderr if self.terminal is None else sys.stdout, flush=True)
        if path := os.environ.get("GITHUB_STEP_SUMMARY"):
            with writing(Path(path)), open(path, "a", encoding="utf-8") as file:
                file.write(github.summary(report))

    def _show_on(self, terminal: TerminalReporter, event: Event) -> None:
        if isinstance(event, FindingFound):
            self._shown.add((event.finding.target, event.finding.id))
        elif isinstance(event, TargetFinished):
            for finding in self._missed(event, self._shown):
                self._show_on(terminal, FindingFound(finding=finding))
        terminal(event)
        if isinstance(event, RunStarted):
            for earlier in self._past:
                self._show_on(terminal, earlier)

    def _missed(self, event: TargetFinished, seen: set[tuple[str, str]]) -> list[Finding]:
        """Return the findings that an interrupt kept from being written or shown when they were found."""
        return [f for f in event.findings if (f.target, f.id) not in seen]

    def _show_what_there_is(self) -> None:
        with _showing():
            if self.terminal is not None:
                self.terminal.directory = self.directory
                self.terminal.stopped(len(self.recorder.findings))
            else:
                _print_json(self.recorder)

    def _write_finding(self, finding: Finding) -> None:
        path = write_reproducer(finding, self.directory / "findings")
        # the case file can be replayed by itself: it names the target and what was claimed
        about = {name: value for name, value in json_ready(finding.to_json()).items() if name != "case"}
        data = {**finding.case.to_json(), "finding": about}
        write_atomically(self.directory / "cases" / f"{finding.id}.json", json.dumps(data, indent=1, allow_nan=False) + "\n")
        self.recorder.reproducers[finding.target, finding.id] = path.relative_to(self.directory).as_posix()

    def _write_report(self) -> None:
        report = self.recorder.report()
        sources = {
            f.id: path.read_text(encoding="utf-8")
            for f in report.findings
            if f.reproducer and (path := self.directory / f.reproducer).is_file()
        }
        write_reports(self.directory, report, self.recorder.ordered(), sources)


def write_reports(directory: Path, report: Report, findings: Sequence[Finding], sources: Mapping[str, str]) -> None:
    """Write report.json, junit.xml, sarif.json and report.html.

    Args:
      directory: where to.
      report: the run.
      findings: those of `report.findings`, in the same order.
      sources: id -> text of the reproducer.

    Raises:
      UsageError: a file cannot be written.
    """
    write_atomically(directory / "report.json", report_json(report))
    write_atomically(directory / "junit.xml", junit_xml(report))
    write_atomically(directory / "sarif.json", sarif_json(report))
    write_atomically(directory / "report.html", report_html(report, findings, sources))


def _print_json(recorder: Recorder) -> None:
    sys.stdout.write(report_json(recorder.report()))
    sys.stdout.flush()


@contextlib.contextmanager
def _showing() -> Iterator[None]:
    """Turn what a closed pipe or a full disk behind standard output raises into a UsageError; rich makes a SystemExit of a pipe."""
    try:
        yield
    except (OSError, SystemExit) as error:
        with contextlib.suppress(OSError, ValueError):
            # or the interpreter complains once more when it closes the stream
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else "nobody reads it"
        raise UsageError(
            f"cannot write to standard output: {reason}; send it elsewhere; what was found lies in the report directory"
        ) from error


def reporters(
    directory: Path,
    *,
    console: Console,
    quiet: bool,
    as_json: bool,
    started: datetime,
    log: EventsLog | None = None,
    past: RunHistory | None = None,
    keep: Path | None = None,
) -> Reporters:
    """Return the listener of a run.

    Args:
      directory: gets events.jsonl, report.json, report.html, junit.xml, sarif.json, findings/ and cases/.
      console: for people; not used with `as_json`, where stdout gets report.json at the end and nothing else.
      quiet: only findings and one summary line.
      started: shown in the reports, with its time zone.
      log: the directory's log where it is open already.
      past: what the log tells of earlier processes of the run.
      keep: corpus that cases of new behaviour are added to, or None.

    Raises:
      UsageError: the directory cannot be written.
    """
    return Reporters(directory, console=console, quiet=quiet, as_json=as_json, started=started, log=log, past=past, keep=keep)
