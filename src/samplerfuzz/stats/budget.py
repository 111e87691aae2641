"""The false-alarm budget of a run: a sum of shares that never exceeds α, however many tests are started."""

from __future__ import annotations

import math
from collections.abc import Callable

ALPHA = 1e-6
_BLOCK = 16


class ErrorBudget:
    """Hand out log thresholds so that P(any false alarm) <= alpha.

    The k-th test gets the share 6α / (π² k²); by Ville's inequality an e-process exceeds 1/share with at most that
    probability, at any time, and the shares sum to α.

    A run owns its budget. One that is killed and resumed goes on with the same budget: `reserve` hears how many tests may
    have been started before any of them is, so that what it wrote down counts every share that a dead process can have spent.

    Processes that work side by side share one sequence: with `share=(i, n)` this one takes every n-th test, from the i-th on.

    Args:
      alpha: bound on the probability of any false alarm of the run.
      started: tests that earlier processes of the run may have started.
      reserve: called with a number of tests before that many have been started.
      share: (index, number) of this process among those that work now.

    >>> budget = ErrorBudget(1e-6)
    >>> budget.next_threshold() < budget.next_threshold()
    True
    """

    def __init__(
        self,
        alpha: float = ALPHA,
        *,
        started: int = 0,
        reserve: Callable[[int], None] = lambda tests: None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.alpha = alpha
        self._before, self._own, self._share = started, 0, share
        self._reserved, self._reserve = 0, reserve

    def next_threshold(self) -> float:
        """Return the natural logarithm of the e-value at which the next test may accuse."""
        if self._own == self._reserved:
            self._reserved += _BLOCK
            self._reserve(self._before + self._reserved * self._share[1])
        self._own += 1
        return math.log(math.pi**2 * self._number(self._own) ** 2 / (6 * self.alpha))

    @property
    def tests(self) -> int:
        """Return how many tests have been started, by earlier processes and by this one."""
        return self._before + self._own

    @property
    def spent(self) -> float:
        """Return the share of alpha handed out so far, by earlier processes and by this one."""
        numbers = [*range(1, self._before + 1), *map(self._number, range(1, self._own + 1))]
        return sum(6 * self.alpha / (math.pi**2 * k * k) for k in numbers)

    def _number(self, own: int) -> int:
        index, among = self._share
        return self._before + (own - 1) * among + index + 1
