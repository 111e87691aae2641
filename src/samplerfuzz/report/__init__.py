"""Listeners of events: terminal, JSON, HTML, JUnit, SARIF, reproducers."""

from samplerfuzz.report.reporters import Reporters, reporters

__all__ = ["Reporters", "reporters"]
