"""report.html: the run as one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from samplerfuzz.checks.finding import Finding
from samplerfuzz.report.schema import Report


def report_html(report: Report, findings: Sequence[Finding], sources: Mapping[str, str]) -> str:
    """Return the page."""
    return ""
