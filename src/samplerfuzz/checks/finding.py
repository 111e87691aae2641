"""What a check reports."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from samplerfuzz.cases import Case

SEVERITIES = ("low", "medium", "high", "critical")


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One broken claim on one case.

    Attributes:
      check: id of the claim, for example `kept_token_is_missing`.
      severity: one of SEVERITIES.
      row: the row of the case it was seen in.
      title: one sentence a person understands at once.
      expected, observed: numbers, JSON-ready (`tokens`, `kept`, `probabilities`, `outcome`, ...).
      protocol: how to repeat it: "call", "alone" (row alone against row in batch), "repeat" (same call twice),
        "draws" (frequencies over many seeds), "grid" (frequencies over a grid of u).
      statistic: name -> number where there is a test (n, log_e, threshold, ...).
    """

    check: str
    severity: str
    row: int
    title: str
    expected: dict[str, Any]
    observed: dict[str, Any]
    protocol: str = "call"
    statistic: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A confirmed, shrunk violation.

    Attributes:
      id: short stable fingerprint, of check, target and regime.
      violation: what was broken, on `case`.
      case: the minimal case.
      target: locator; `order`, `returns` as declared.
      seconds, cases: when it was found, since the start of the run.
      repeats: how often the same fingerprint was seen.
    """

    id: str
    violation: Violation
    case: Case
    target: str
    order: tuple[str, ...]
    returns: str
    per_row: bool
    order_was_assumed: bool
    seconds: float
    cases: int
    repeats: int = 1

    def repeated(self) -> Finding:
        """Return the finding seen once more."""
        return replace(self, repeats=self.repeats + 1)

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `findings[]` in report.json, without the reproducer's path."""
        v = self.violation
        return {
            "id": self.id,
            "check": v.check,
            "severity": v.severity,
            "target": self.target,
            "title": v.title,
            "order": list(self.order),
            "order_was_assumed": self.order_was_assumed,
            "returns": self.returns,
            "per_row": self.per_row,
            "row": v.row,
            "expected": v.expected,
            "observed": v.observed,
            "protocol": v.protocol,
            "statistic": v.statistic,
            "case": self.case.to_json(),
            "seconds": round(self.seconds, 3),
            "cases": self.cases,
            "repeats": self.repeats,
        }
