"""What a guard's audit log says: decisions, reasons, whose parameters, and when."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from samplerfuzz.core.errors import UsageError

ACTIONS = ("accept", "flag", "clamp", "reject")
_BUCKETS = 60


@dataclass(kw_only=True)
class GuardLog:
    """Counts of one audit log.

    Attributes:
      actions: action -> requests; `paths` and `statuses` likewise.
      reasons: reason of a rejection that is not the policy's -> requests.
      noticed: (parameter or "", validator, severity) -> times.
      failures: how the server failed -> requests.
      times: of every request, in seconds since 1970; `decided`: its action.
      seconds: how long each took.
      alarms: (time in UTC, monitor) of each alarm of a monitor that holds at any time.
      unread: lines that are no decision: torn ones, and those of something else.
    """

    actions: Counter[str] = field(default_factory=Counter)
    paths: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    noticed: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    decided: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    alarms: list[tuple[str, str]] = field(default_factory=list)
    unread: int = 0

    @property
    def span(self) -> tuple[str, str]:
        """The first and the last time, in UTC."""
        return _utc(min(self.times)), _utc(max(self.times))

    @property
    def quantiles(self) -> tuple[float, float]:
        """The median and the 99 % quantile of how long a request took, in seconds."""
        median, slow = np.quantile(self.seconds, [0.5, 0.99]) if self.seconds else (0.0, 0.0)
        return float(median), float(slow)

    def buckets(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the edges of equal stretches of the time, in seconds from the first request, and the requests of each action in each."""
        times = np.array(self.times) - min(self.times)
        edges = np.linspace(0, max(float(times.max()), 1.0), _BUCKETS + 1)
        decided = np.array(self.decided)
        return edges, {action: np.histogram(times[decided == action], edges)[0] for action in ACTIONS if self.actions[action]}


def read_guard_log(files: Iterable[Path]) -> GuardLog:
    """Read the audit logs of a guard, the rotated ones with the rest.

    Raises:
      UsageError: a file cannot be read, or no line of them is a decision.
    """
    log, names = GuardLog(), []
    for file in files:
        names.append(str(file))
        try:
            with file.open("rb") as lines:
                for entry in _entries(lines, log):
                    _count(log, entry)
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror}; name the audit log of `samplerfuzz guard --audit FILE`") from error
    if not log.times:
        raise UsageError(f"{', '.join(names)}: expected the audit log of `samplerfuzz guard --audit FILE`, found no decision in it")
    return log


def _entries(lines: io.BufferedReader, log: GuardLog) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            entry = json.loads(line)
            when = float(entry["time"])
            if isinstance(entry.get("alarm"), str):
                log.alarms.append((_utc(when), entry["alarm"]))
                continue
            if entry["action"] not in ACTIONS:
                raise ValueError(entry["action"])
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError):
            log.unread += 1
        else:
            yield entry


def _utc(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _count(log: GuardLog, entry: dict[str, Any]) -> None:
    action = str(entry["action"])
    log.actions[action] += 1
    log.decided.append(action)
    log.times.append(float(entry["time"]))
    log.paths[str(entry.get("path", ""))] += 1
    log.statuses[str(entry.get("status", ""))] += 1
    if entry.get("reason", "policy") != "policy":
        log.reasons[str(entry["reason"])] += 1
    if entry.get("failure"):
        log.failures[str(entry["failure"])] += 1
    if isinstance(entry.get("seconds"), int | float):
        log.seconds.append(float(entry["seconds"]))
    for result in entry.get("results") or []:
        if isinstance(result, dict):
            log.noticed[str(result.get("parameter") or ""), str(result.get("validator", "")), str(result.get("severity", ""))] += 1
