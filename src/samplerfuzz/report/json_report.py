"""report.json: the whole run for programs."""

from __future__ import annotations

import json

from samplerfuzz.report.schema import Report


def report_json(report: Report) -> str:
    """Return the text of report.json: strict JSON, no NaN."""
    return json.dumps(report.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
