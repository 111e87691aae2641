"""Where a text begins to repeat itself. Needs the standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Where a text begins to repeat itself for good: `start` tokens in, with a `period`; both 0 where it does not."""

    start: int
    period: int


def loop_of(ids: Sequence[int]) -> Loop:
    """Return where a text begins to repeat itself until its end, at least twice over.

    >>> loop_of([5, 1, 2, 1, 2, 1])
    Loop(start=1, period=2)
    """
    n = len(ids)
    for period in range(1, n // 2 + 1):
        start = n - period
        while start > 0 and ids[start - 1] == ids[start - 1 + period]:
            start -= 1
        if n - start >= 2 * period:
            return Loop(start=start, period=period)
    return Loop(start=0, period=0)
