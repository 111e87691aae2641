"""What a validator says: one result a thing it noticed. Everything in it is ready for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

INFO, LOW, MEDIUM, HIGH = SEVERITIES = ("info", "low", "medium", "high")


@dataclass(frozen=True, kw_only=True)
class Result:
    """One thing that a validator noticed.

    Attributes:
      validator: its name.
      severity: "info": nothing wrong, or nothing examined; "low": worth knowing; "medium": outside what is allowed; "high": no deployment
        should see it.
      message: a sentence with value and range.
      evidence: JSON-ready numbers behind it.
      parameter: the sampling parameter it is about, as the request calls it; None where it is about none.
    """

    validator: str
    severity: str
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    parameter: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON data."""
        return {
            "validator": self.validator,
            "severity": self.severity,
            "message": self.message,
            "evidence": dict(self.evidence),
            "parameter": self.parameter,
        }


def worst(results: Iterable[Result]) -> str:
    """Return the highest severity, "info" where there is no result."""
    return max((result.severity for result in results), key=SEVERITIES.index, default=INFO)
