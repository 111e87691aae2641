"""What the live page shows: the newest decisions and what was noticed of answers, no word of a prompt or an answer among it."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import samplerfuzz
from samplerfuzz.safety.proxy.metrics import Metrics

_NEWEST = 30


class LiveState:
    """The newest events of one guard, beside its metrics."""

    def __init__(self, metrics: Metrics, *, upstream: str, policy: str) -> None:
        """Begin now; `upstream` and `policy` are shown as they are."""
        self._metrics = metrics
        self._about = {"samplerfuzz": samplerfuzz.__version__, "upstream": upstream, "policy": policy}
        self._begun = time.time()
        self._decisions: deque[dict[str, Any]] = deque(maxlen=_NEWEST)
        self._noticed: deque[dict[str, Any]] = deque(maxlen=_NEWEST)
        self.draining = False
        self.sampling: dict[str, float | None] = {"low": None, "estimate": None, "high": None}

    def decided(self, *, path: str, action: str, reason: str, parameters: list[str], status: int) -> None:
        """Remember a decision."""
        entry = {
            "time": round(time.time(), 1),
            "path": path,
            "action": action,
            "reason": reason,
            "status": status,
            "parameters": parameters,
        }
        self._decisions.appendleft(entry)

    def noticed(self, *, path: str, validator: str, severity: str) -> None:
        """Remember what was noticed of an answer."""
        self._noticed.appendleft({"time": round(time.time(), 1), "path": path, "validator": validator[:64], "severity": severity})

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        total = self._metrics.total
        temperatures = total("temperature_requests")
        tokens = total("tokens")
        return {
            **self._about,
            "uptime_seconds": round(time.time() - self._begun, 1),
            "draining": self.draining,
            "in_flight": int(total("in_flight")),
            "requests": {action: int(total("requests", action=action)) for action in ("accept", "flag", "clamp", "reject")},
            "temperature": {
                "requests": int(temperatures),
                "anomalies": int(total("temperature_anomalies")),
                "rate": total("temperature_anomalies") / temperatures if temperatures else None,
            },
            "tokens": {
                "known": int(tokens),
                "anomalous": int(total("anomalous_tokens")),
                "rate": total("anomalous_tokens") / tokens if tokens else None,
            },
            "answers": {
                "watched": int(total("watched_answers")),
                "unwatched": int(total("unwatched_answers")),
                "anomalies": int(total("answer_anomalies")),
                "distribution_anomalies": int(total("distribution_anomalies")),
            },
            "sampling": {
                "positions": int(total("law_positions")),
                "skipped": int(total("law_skipped")),
                "log_e": total("e_value", monitor="surprisal"),
                "temperature_factor": dict(self.sampling),
            },
            "alarms": int(total("alarms")),
            "upstream_errors": int(total("upstream_errors")),
            "overloads": int(total("overloads")),
            "guard_errors": int(total("guard_errors")),
            "audit_lost": int(total("audit_lost")),
            "decisions": list(self._decisions),
            "noticed": list(self._noticed),
        }
