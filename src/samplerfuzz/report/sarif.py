"""sarif.json: the findings for code-scanning tools (SARIF 2.1.0)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from samplerfuzz.report.place import place_of
from samplerfuzz.report.schema import FindingEntry, Report
from samplerfuzz.report.text import printable

_LEVELS = {"low": "note", "medium": "warning", "high": "error", "critical": "error"}
_SECURITY = {"low": "2.0", "medium": "5.0", "high": "7.5", "critical": "9.5"}


def sarif_json(report: Report) -> str:
    """Return the text of sarif.json: a rule a check, a result a finding."""
    rules = {f.check: f.severity for f in report.findings}
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "samplerfuzz",
                "version": report.version,
                "rules": [
                    {
                        "id": name,
                        "shortDescription": {"text": name.replace("_", " ")},
                        "properties": {"security-severity": _SECURITY[severity]},
                    }
                    for name, severity in rules.items()
                ],
            }
        },
        "invocations": [{"executionSuccessful": report.status in (0, 1), "exitCode": report.status, "startTimeUtc": _utc(report.started)}],
        "results": [_result(f, list(rules).index(f.check)) for f in report.findings],
    }
    document = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _result(finding: FindingEntry, rule: int) -> dict[str, Any]:
    name = finding.target.rpartition(":")[2]
    location: dict[str, Any] = {"logicalLocations": [{"name": name, "fullyQualifiedName": finding.target, "kind": "function"}]}
    place = place_of(finding.target)
    if place is not None:
        location["physicalLocation"] = {"artifactLocation": {"uri": quote(place.file)}, "region": {"startLine": place.line}}
    suppressed = {"suppressions": [{"kind": "external", "justification": printable(finding.known)}]} if finding.known else {}
    return {
        **suppressed,
        "ruleId": finding.check,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": printable(finding.title)},
        "locations": [location],
        "partialFingerprints": {"samplerfuzz/v1": finding.id},
        "properties": {"severity": finding.severity, "reproducer": finding.reproducer, "order": finding.order},
    }


def _utc(started: str) -> str:
    return datetime.fromisoformat(started).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
