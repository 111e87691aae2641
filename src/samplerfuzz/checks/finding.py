"""What a check reports."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

from samplerfuzz.cases import Case
from samplerfuzz.targets.target import TargetSpec

SEVERITIES = ("low", "medium", "high", "critical")


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One broken claim on one case.

    Attributes:
      check: id of the claim, for example `kept_token_has_probability`.
      severity: one of SEVERITIES.
      row: the row of the case it was seen in.
      title: one sentence a person understands at once.
      expected, observed: numbers, JSON-ready (`tokens`, `kept`, `probabilities`, `outcome`, ...).
      protocol: how to repeat it: "steps" (the steps before, then this one), "reset", "clone", "replay" (streams of steps), "led" (draws after steps), "call", "alone" (row alone against row in batch), "repeat" (same call twice), "after another" (a call after an unrelated one),
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
      stateful: whether the target carries a state from step to step.
      version: of the library that the target belongs to, or "".
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
    stateful: bool = False
    version: str = ""

    @classmethod
    def of(cls, spec: TargetSpec, violation: Violation, case: Case, *, id: str, seconds: float = 0.0, cases: int = 0) -> Finding:
        """Return the finding of `violation` on `case`, with what the target declares."""
        return cls(
            id=id,
            violation=violation,
            case=case,
            target=spec.locator,
            order=spec.order,
            returns=spec.returns or ("tokens" if "token" in violation.observed else "logits"),
            per_row=spec.per_row,
            order_was_assumed=spec.order_was_assumed,
            stateful=spec.stateful,
            version=spec.version,
            seconds=seconds,
            cases=cases,
        )

    def repeated(self) -> Finding:
        """Return the finding seen once more."""
        return replace(self, repeats=self.repeats + 1)

    def to_json(self) -> dict[str, Any]:
        """Return JSON data, non-finite numbers of the evidence aside; `from_json` inverts it."""
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
            "seconds": self.seconds,
            "cases": self.cases,
            "repeats": self.repeats,
            "stateful": self.stateful,
            "version": self.version,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Finding:
        """Invert `to_json`; in lists of the evidence and in the statistic, `nan`, `inf` and `-inf` may stand for those numbers.

        Raises:
          ValueError: the data is no finding.
        """
        try:
            return cls(
                id=data["id"],
                violation=Violation(
                    check=data["check"],
                    severity=data["severity"],
                    row=data["row"],
                    title=data["title"],
                    expected=_numbers_named(data["expected"]),
                    observed=_numbers_named(data["observed"]),
                    protocol=data["protocol"],
                    statistic={name: float(value) for name, value in data["statistic"].items()},
                ),
                case=Case.from_json(data["case"]),
                target=data["target"],
                order=tuple(data["order"]),
                returns=data["returns"],
                per_row=data["per_row"],
                order_was_assumed=data["order_was_assumed"],
                seconds=data["seconds"],
                cases=data["cases"],
                repeats=data["repeats"],
                stateful=data.get("stateful", False),
                version=data.get("version", ""),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"no finding: {type(error).__name__}: {error}") from error


def fingerprint(check: str, target: str, *, legal: bool) -> str:
    """Return check, target and regime as a short hash: legal input and extreme input are two findings."""
    text = f"{check}|{target}|{'legal' if legal else 'extreme'}"
    return hashlib.blake2b(text.encode(), digest_size=5).hexdigest()


def _numbers_named(value: Any) -> Any:
    """Return evidence with the names of non-finite numbers in lists replaced; alone, such a word may be a target's message."""
    if isinstance(value, dict):
        return {key: _numbers_named(item) for key, item in value.items()}
    if isinstance(value, list):
        return [float(item) if item in ("nan", "inf", "-inf") else _numbers_named(item) for item in value]
    return value
