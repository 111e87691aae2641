"""Where a text begins to repeat itself for good. Needs the standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Where a text begins to repeat itself for good: `start` tokens in, with a `period`; both 0 where it does not."""

    start: int
    period: int


def loop_of(ids: Sequence[Any]) -> Loop:
    """Return where a text begins to repeat itself until its end, at least twice over; the shortest period wins. Takes linear time.

    >>> loop_of([5, 1, 2, 1, 2, 1])
    Loop(start=1, period=2)
    """
    n = len(ids)
    agreement = _agreement_with_itself(ids[::-1])
    for period in range(1, n // 2 + 1):
        if agreement[period] >= period:
            return Loop(start=n - period - agreement[period], period=period)
    return Loop(start=0, period=0)


def _agreement_with_itself(ids: Sequence[Any]) -> list[int]:
    """Return, for each place, how many ids from there on are those that `ids` begins with (the Z-array; 0 at place 0)."""
    n = len(ids)
    longest, left, right = [0] * n, 0, 0
    for i in range(1, n):
        if i < right:
            longest[i] = min(right - i, longest[i - left])
        while i + longest[i] < n and ids[longest[i]] == ids[i + longest[i]]:
            longest[i] += 1
        if i + longest[i] > right:
            left, right = i, i + longest[i]
    return longest
