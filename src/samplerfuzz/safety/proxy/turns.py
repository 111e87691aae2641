"""Answers in the order in which they were asked for, whenever they end.

Those that end first are not a fair sample of those under way: a text that has come to its end is shorter than the others. So nothing of an answer counts before all that were
asked for earlier have ended, and whether there is room for one is decided before a token of it is drawn.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")
MOST = 512


class Turns(Generic[T]):
    """Places in a row.

    >>> turns = Turns[str]()
    >>> first, second = turns.take(), turns.take()
    >>> turns.give(second, "b"), turns.give(first, "a")
    ([], ['a', 'b'])
    """

    def __init__(self, most: int = MOST) -> None:
        """Begin with none taken; `most` may be under way."""
        self._most, self._first = most, 0
        self._given: deque[tuple[bool, T | None]] = deque()

    def take(self) -> int | None:
        """Return the next place, or None where too many are taken."""
        if len(self._given) >= self._most:
            return None
        self._given.append((False, None))
        return self._first + len(self._given) - 1

    def give(self, place: int, item: T | None) -> list[T]:
        """Return what may count now that `item` (None: nothing came of it) stands in its place."""
        self._given[place - self._first] = (True, item)
        ready = []
        while self._given and self._given[0][0]:
            own = self._given.popleft()[1]
            self._first += 1
            if own is not None:
                ready.append(own)
        return ready
