"""A Grafana dashboard of the guard's metrics, as the JSON that Grafana imports.

To write the committed file anew: python -m samplerfuzz.safety.proxy.dashboard reports/grafana-samplerfuzz-guard.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplerfuzz.safety.proxy.metrics import PREFIX

_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 3
_WINDOW = "$__rate_interval"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One graph: queries with their legends, and the unit of its axis."""

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    about: str = ""


def _rate(name: str, by: str = "") -> str:
    inner = f"rate({PREFIX}_{name}[{_WINDOW}])"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def _quantile(q: float, name: str) -> str:
    return f"histogram_quantile({q}, sum by (le) (rate({PREFIX}_{name}_bucket[{_WINDOW}])))"


def _share(part: str, whole: str) -> str:
    return f"{_rate(part)} / {_rate(whole)}"


PANELS = (
    Panel(title="Requests a second, by decision", queries=[(_rate("requests_total", "action"), "{{action}}")], unit="reqps"),
    Panel(
        title="Temperatures outside the policy",
        queries=[(_share("temperature_anomalies_total", "temperature_requests_total"), "share")],
        unit="percentunit",
        about="Share of the requests with a temperature whose temperature the policy does not allow, refused or not.",
    ),
    Panel(
        title="Anomalous tokens",
        queries=[(_share("anomalous_tokens_total", "tokens_total"), "share")],
        unit="percentunit",
        about="Share of the tokens of watched answers that the census lists.",
    ),
    Panel(title="Refused, by parameter and reason", queries=[(_rate("rejects_total", "parameter, reason"), "{{parameter}} {{reason}}")]),
    Panel(title="Clamped, by parameter", queries=[(_rate("clamps_total", "parameter"), "{{parameter}}")]),
    Panel(title="Flagged, by parameter", queries=[(_rate("flags_total", "parameter, reason"), "{{parameter}} {{reason}}")]),
    Panel(
        title="Anomalies of answers",
        queries=[
            (_rate("answer_anomalies_total", "validator"), "{{validator}}"),
            (_rate("distribution_anomalies_total"), "distribution"),
        ],
    ),
    Panel(
        title="Entropy of the next token",
        queries=[(_quantile(q, "entropy_nats"), f"p{round(100 * q)}") for q in (0.1, 0.5, 0.9)],
        about="In nats, where log-probabilities are known.",
    ),
    Panel(
        title="Monitors that hold at any time",
        queries=[(f"{PREFIX}_e_value", "ln e, {{monitor}}"), (f"{PREFIX}_alarms_total", "alarms, {{monitor}}")],
        about="An alarm at the false-alarm rate α is an e-value of 1/α.",
    ),
    Panel(
        title="Temperature over the declared one",
        queries=[(f"{PREFIX}_temperature_factor", "{{bound}}")],
        about="What the tokens show, with bounds that hold at all times; 1 where all is well.",
    ),
    Panel(
        title="Tokens held against their law",
        queries=[(_rate("law_positions_total"), "held"), (_rate("law_skipped_total", "reason"), "not: {{reason}}")],
    ),
    Panel(
        title="Time that the guard takes", queries=[(_quantile(q, "added_seconds"), f"p{round(100 * q)}") for q in (0.5, 0.99)], unit="s"
    ),
    Panel(
        title="Duration of judged requests",
        queries=[(_quantile(q, "duration_seconds"), f"p{round(100 * q)}") for q in (0.5, 0.99)],
        unit="s",
    ),
    Panel(title="Under way", queries=[(f"{PREFIX}_in_flight", "requests")]),
    Panel(
        title="What went wrong",
        queries=[
            (_rate("upstream_errors_total", "kind"), "server: {{kind}}"),
            (_rate("client_disconnects_total"), "client went"),
            (_rate("overloads_total"), "too many at a time"),
            (_rate("guard_errors_total", "part"), "guard: {{part}}"),
            (_rate("audit_lost_total"), "audit line lost"),
        ],
    ),
    Panel(
        title="Answers watched",
        queries=[(_rate("watched_answers_total"), "watched"), (_rate("unwatched_answers_total", "reason"), "not: {{reason}}")],
    ),
    Panel(
        title="Answers, by status",
        queries=[(_rate("responses_total", "status"), "{{status}}"), (_rate("passed_requests_total", "status"), "let by: {{status}}")],
    ),
)


def dashboard() -> dict[str, Any]:
    """Return the dashboard as JSON data."""
    return {
        "title": "samplerfuzz guard",
        "uid": "samplerfuzz-guard",
        "tags": ["samplerfuzz", "llm"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}, "hide": 0}]
        },
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }


def text() -> str:
    """Return the dashboard as it is committed."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": source,
        "gridPos": {"x": number % _COLUMNS * _WIDTH, "y": number // _COLUMNS * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": source, "expr": query, "legendFormat": legend}
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
