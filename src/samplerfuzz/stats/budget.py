"""The false-alarm budget of a run: a sum of shares that never exceeds α, however many tests are started."""

from __future__ import annotations

import math


class ErrorBudget:
    """Hand out log thresholds so that P(any false alarm) <= alpha.

    The k-th test gets the share 6α / (π² k²); by Ville's inequality an e-process exceeds 1/share with at most that
    probability, at any time, and the shares sum to α.

    >>> budget = ErrorBudget(1e-6)
    >>> budget.next_threshold() < budget.next_threshold()
    True
    """

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha
        self.tests = 0

    def next_threshold(self) -> float:
        """Return the natural logarithm of the e-value at which the next test may accuse."""
        self.tests += 1
        return math.log(math.pi**2 * self.tests**2 / (6 * self.alpha))

    @property
    def spent(self) -> float:
        """Return the share of alpha handed out so far."""
        return sum(6 * self.alpha / (math.pi**2 * k * k) for k in range(1, self.tests + 1))


RUN_BUDGET = ErrorBudget(1e-6)
