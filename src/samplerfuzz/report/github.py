"""GitHub Actions: an annotation a finding, and a summary of the job.

Source: "Workflow commands for GitHub Actions" in GitHub's documentation (`::error file=…,line=…,title=…::message`, GITHUB_STEP_SUMMARY).
"""

from __future__ import annotations

from samplerfuzz.report.place import place_of
from samplerfuzz.report.schema import FindingEntry, Report
from samplerfuzz.report.text import count, printable

_LEVELS = {"low": "notice", "medium": "warning", "high": "error", "critical": "error"}


def annotation_lines(report: Report) -> list[str]:
    """Return a workflow command for every finding, a known one as a notice."""
    return [_annotation(f) for f in report.findings]


def summary(report: Report) -> str:
    """Return the job's summary in Markdown; what a target said cannot become markup."""
    pairs = sum(t.pairs for t in report.targets)
    lines = [
        f"### samplerfuzz: {_cell(report.reason)}",
        "",
        f"{len(report.targets)} target{'s' * (len(report.targets) != 1)}, {count(pairs)} (row, configuration) pairs in {report.seconds:.0f} s, "
        f"seed {report.seed}, exit status {report.status}",
        "",
    ]
    if report.findings:
        lines += ["| severity | claim | target | what | finding |", "|---|---|---|---|---|"]
        for f in report.findings:
            state = f"{f.severity} (known: {_cell(f.known)})" if f.known else f.severity
            lines.append(f"| {state} | `{f.check}` | {_cell(f.target)} | {_cell(f.title)} | `{f.id}` |")
    return "\n".join(lines) + "\n"


def _annotation(finding: FindingEntry) -> str:
    place = place_of(finding.target)
    level = "notice" if finding.known else _LEVELS[finding.severity]
    properties = {"file": place.file, "line": str(place.line)} if place else {}
    properties["title"] = f"samplerfuzz: {finding.check}"
    known = f" (known: {finding.known})" if finding.known else ""
    message = f"{finding.title}{known} [{finding.target}, finding {finding.id}; samplerfuzz explain {finding.check}]"
    settings = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {settings}::{_message(message)}"


def _message(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str | None) -> str:
    shown = printable(text or "").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "\\`*_[]|~":
        shown = shown.replace(mark, f"\\{mark}")
    return shown
