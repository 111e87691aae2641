"""Tokens outside the set that the declared sampler keeps: there are none, whatever is drawn.

Which tokens those are the float64 oracle says. Where rounding or a tie leaves open whether a token stays (*may*), its emission is counted and excused; what no correct sampler
keeps (*never*) is an alarm the first time: its probability is 0 under the null, so the alarm costs no α.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from samplerfuzz.core.errors import UsageError

NAME = "kept set"
_COUNTS = ("steps", "outside", "excused")


class SupportMonitor:
    """Count the tokens that cannot have been drawn.

    Attributes:
      steps: that were judged.
      outside: tokens that no correct sampler keeps.
      excused: tokens on which rounding or ties decide.
      alarm_at: the step, counted from 1, of the first one outside.

    >>> monitor = SupportMonitor()
    >>> monitor.update(outside=[False, True], excused=[True, False])
    >>> monitor.alarm, monitor.describe()["outside"], monitor.describe()["excused"]
    (True, 1, 1)
    """

    def __init__(self) -> None:
        self.steps = self.outside = self.excused = 0
        self.alarm_at: int | None = None

    def update(self, *, outside: Any, excused: Any = False) -> None:
        """Take the verdicts of some steps, bool [T]."""
        never = np.atleast_1d(np.asarray(outside, bool))
        if self.alarm_at is None and never.any():
            self.alarm_at = self.steps + int(never.argmax()) + 1
        self.steps += len(never)
        self.outside += int(never.sum())
        self.excused += int(np.broadcast_to(np.asarray(excused, bool), never.shape).sum())

    @property
    def e_value(self) -> float:
        """Infinite once what cannot be has been seen, 1 until then."""
        return float("inf") if self.outside else 1.0

    @property
    def alarm(self) -> bool:
        """Whether any token was outside."""
        return self.outside > 0

    def merge(self, other: SupportMonitor) -> None:
        """Add what another monitor saw."""
        if self.alarm_at is None and other.alarm_at is not None:
            self.alarm_at = self.steps + other.alarm_at
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON data."""
        return {**{name: getattr(self, name) for name in _COUNTS}, "alarm_at": self.alarm_at}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Invert `to_json`."""
        monitor = cls()
        try:
            for name in _COUNTS:
                setattr(monitor, name, int(data[name]))
            monitor.alarm_at = None if data["alarm_at"] is None else int(data["alarm_at"])
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"no state of a monitor: expected what `to_json` wrote ({error!r})") from error
        return monitor

    def describe(self) -> dict[str, Any]:
        """Return what a report says."""
        return {"monitor": NAME, **self.to_json(), "alarm": self.alarm}
