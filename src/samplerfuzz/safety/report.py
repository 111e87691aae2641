"""What a pipeline found, as one value: mergeable, and JSON of a published schema (`report.schema.json`, written by this module).

To write the schema anew: python -m samplerfuzz.safety.report
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samplerfuzz.safety.results import HIGH, INFO, SEVERITIES, Result, worst

PASS, WARN, FAIL = VERDICTS = ("pass", "warn", "fail")
FORMAT = "samplerfuzz safety report 1"
SCHEMA = Path(__file__).with_name("report.schema.json")


@dataclass(frozen=True, kw_only=True)
class SafetyReport:
    """What a pipeline found.

    Attributes:
      results: of all validators, in their order.
      checked: validator -> how many observations it looked at.
    """

    results: tuple[Result, ...] = ()
    checked: Mapping[str, int] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """ "fail" where a result is of the severity "high", "warn" where one is "low" or "medium", else "pass"."""
        severity = worst(self.results)
        return FAIL if severity == HIGH else PASS if severity == INFO else WARN

    def of(self, validator: str) -> tuple[Result, ...]:
        """Return the results of one validator."""
        return tuple(result for result in self.results if result.validator == validator)

    def counts(self) -> dict[str, int]:
        """Return severity -> number of results."""
        return {severity: sum(result.severity == severity for result in self.results) for severity in SEVERITIES}

    def merge(self, other: SafetyReport) -> SafetyReport:
        """Return the report of both: results one after the other, observations added up."""
        names = dict.fromkeys([*self.checked, *other.checked])
        checked = {name: self.checked.get(name, 0) + other.checked.get(name, 0) for name in names}
        return SafetyReport(results=self.results + other.results, checked=checked)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "format": FORMAT,
            "verdict": self.verdict,
            "counts": self.counts(),
            "checked": dict(self.checked),
            "results": [result.to_json() for result in self.results],
        }


def schema() -> dict[str, Any]:
    """Return the JSON Schema of `SafetyReport.to_json`."""
    count = {"type": "integer", "minimum": 0}
    result = _closed(
        validator={"type": "string"},
        severity={"enum": list(SEVERITIES)},
        message={"type": "string"},
        evidence={"type": "object"},
        parameter={"type": ["string", "null"]},
    )
    report = _closed(
        format={"const": FORMAT},
        verdict={"enum": list(VERDICTS)},
        counts=_closed(**dict.fromkeys(SEVERITIES, count)),
        checked={"type": "object", "additionalProperties": count},
        results={"type": "array", "items": result},
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Safety report", **report}


def schema_text() -> str:
    """Return the schema as it is committed."""
    return json.dumps(schema(), indent=1) + "\n"


def _closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8")
