"""A sequential test of an endless stream: an alarm whose probability, if all is well, stays below α for ever.

Evidence is an e-process: a product of factors, each of mean at most 1 given what came before, so that by Ville's inequality it ever reaches 1/a with
probability at most a. Two of them share α. One runs from the first step on and sees the smallest faults. A fault that begins late would have to win back what a long
time of health took from that one, so the other starts anew every `period` steps, the j-th time with the share 6/(π²j²) of its half of α.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from samplerfuzz.core.errors import ParameterError, UsageError

PERIOD = 2**14
_LARGEST = 700.0


class SequentialTest:
    """Sums of what each step adds to the evidence, and whether they have ever been enough.

    Args:
      alpha: bound on the probability of a false alarm, in (0, 1).
      width: D, how many sums there are.
      log_e: sums [..., D] -> ln of the e-value of all of them together [...].
      period: steps after which the second process starts anew.

    Attributes:
      steps: that were observed.
      alarm_at: the step, counted from 1, at which the alarm was raised; None: it was not. An alarm stays.
      peak: the largest ln of the e-value that runs from the first step on.
    """

    def __init__(self, *, alpha: float, width: int, log_e: Callable[[np.ndarray], np.ndarray], period: int = PERIOD) -> None:
        if not 0 < alpha < 1:
            raise ParameterError(f"alpha = {alpha}: expected a probability above 0 and below 1")
        if period < 1:
            raise ParameterError(f"period = {period}: expected at least one step")
        self.alpha, self.period, self._log_e = alpha, period, log_e
        self.whole, self.since = np.zeros(width), np.zeros(width)
        self.steps, self.rest, self.periods, self.peak = 0, period, 1, 0.0
        self.alarm_at: int | None = None

    @property
    def log_e(self) -> float:
        """ln of the e-value of all steps; what is less than e^−700 is not told apart."""
        return max(float(self._log_e(self.whole)), -_LARGEST)

    @property
    def e_value(self) -> float:
        """The e-value of all steps; beyond what a float holds, the largest e^700."""
        return math.exp(min(self.log_e, _LARGEST))

    @property
    def threshold(self) -> float:
        """ln of the e-value at which the process from the first step on raises the alarm."""
        return math.log(2 / self.alpha)

    def observe(self, increments: np.ndarray) -> None:
        """Add steps [T, D], one after another."""
        while len(increments):
            now, increments = increments[: self.rest], increments[self.rest :]
            whole, since = self.whole + now.cumsum(0), self.since + now.cumsum(0)
            of_all, of_period = self._log_e(whole), self._log_e(since)
            enough = np.flatnonzero((of_all >= self.threshold) | (of_period >= self._threshold_of_period))
            if self.alarm_at is None and enough.size:
                self.alarm_at = self.steps + int(enough[0]) + 1
            self.peak = max(self.peak, float(of_all.max()))
            self.whole, self.since = whole[-1], since[-1]
            self.steps, self.rest = self.steps + len(now), self.rest - len(now)
            if self.rest == 0:
                self.since, self.rest, self.periods = np.zeros_like(self.since), self.period, self.periods + 1

    @property
    def _threshold_of_period(self) -> float:
        return self.threshold + math.log(math.pi**2 / 6 * self.periods**2)

    def merge(self, other: SequentialTest) -> None:
        """Add another stream's evidence: what both say together is an e-value again. An alarm of either stays, raised at its own α."""
        if (other.alpha, other.period, len(other.whole)) != (self.alpha, self.period, len(self.whole)):
            raise ParameterError("monitors with another alpha, period or kind of evidence cannot be merged; make them alike")
        if self.alarm_at is None and other.alarm_at is not None:
            self.alarm_at = self.steps + other.alarm_at
        self.whole = self.whole + other.whole
        self.since = self.since + other.since
        self.steps, self.periods, self.rest = self.steps + other.steps, self.periods + other.periods, min(self.rest, other.rest)
        together = self.log_e
        self.peak = max(self.peak, other.peak, together)
        if self.alarm_at is None and together >= self.threshold:
            self.alarm_at = self.steps

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON data."""
        names = ("alpha", "period", "steps", "rest", "periods", "peak", "alarm_at")
        return {**{name: getattr(self, name) for name in names}, "whole": self.whole.tolist(), "since": self.since.tolist()}

    def restore(self, data: Mapping[str, Any]) -> None:
        """Take over the state that `to_json` wrote.

        Raises:
          UsageError: it is no such state, or one of another test.
        """
        try:
            alike = (data["alpha"], data["period"], len(data["whole"]), len(data["since"]))
            if alike != (self.alpha, self.period, len(self.whole), len(self.since)):
                raise UsageError(f"the state is of another monitor: alpha, period and sums {alike}, expected {self.alpha}, {self.period}")
            self.whole, self.since = np.array(data["whole"], np.float64), np.array(data["since"], np.float64)
            self.steps, self.rest, self.periods = (int(data[name]) for name in ("steps", "rest", "periods"))
            self.peak, self.alarm_at = float(data["peak"]), None if data["alarm_at"] is None else int(data["alarm_at"])
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"no state of a monitor: expected what `to_json` wrote ({error!r})") from error

    def describe(self) -> dict[str, Any]:
        """Return what a report says."""
        return {
            "steps": self.steps,
            "alpha": self.alpha,
            "log_e": self.log_e,
            "e_value": self.e_value,
            "largest_log_e": self.peak,
            "alarm": self.alarm_at is not None,
            "alarm_at": self.alarm_at,
        }
