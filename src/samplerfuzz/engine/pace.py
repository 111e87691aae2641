"""How many rows, of how many tokens, the next call gets: as much as the target answers quickly, and now and then a whole vocabulary."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median

import numpy as np

# one beyond the blocks of 64 and 128 that kernels cut rows into, and sizes of real vocabularies
LARGE = (65, 129, 1000, 4096, 32000, 49152, 128256)
_BRISK, _SLOW, _COMPILES = 0.05, 0.2, 0.05
_SMALL_CALL, _LARGE_CALL = 2**17, 2**18
_LARGE_AFTER = 6.0  # seconds: what is wrong with small rows shows on small rows
_MANY = 0.7  # of the calls have as many rows as are answered quickly
_ON_NEW = 0.25  # of the time, where a new shape is dear


class Pace:
    """Choose the shapes of calls.

    Where a new shape costs a compilation, the shapes already seen are kept to as soon as new ones have had a quarter of the time, those of many rows above all,
    and the number of rows grows in few steps.

    Args:
      sizes: vocabulary sizes thrown most of the time.
      large: those thrown now and then.
      most_rows: of a call.
    """

    def __init__(self, *, sizes: Sequence[int], large: Sequence[int] = LARGE, most_rows: int) -> None:
        self._sizes, self._large, self._most = tuple(sizes), tuple(large), most_rows
        self._rows = min(16, most_rows)
        self._seen: list[tuple[int, int]] = []
        self._drawn_from: list[int] = []
        self._first: dict[tuple[int, int], float] = {}
        self._again: dict[tuple[int, int], float] = {}
        self._twice: deque[tuple[int, int]] = deque(maxlen=9)
        self._warm: set[tuple[int, int]] = set()
        self._on_large = self._on_new = 0.0

    def shape(self, rng: np.random.Generator, elapsed: float) -> tuple[int, int]:
        """Return rows and vocabulary size of the next call, `elapsed` seconds into the campaign."""
        if self._seen and self._keeps_to_known(elapsed):
            fitting = [rows for rows, _ in self._seen if rows <= self._rows]
            most = [shape for shape in self._seen if fitting and shape[0] == max(fitting)]
            known = most if most and rng.random() < _MANY else self._seen
            return known[int(rng.integers(len(known)))]
        if self._large and elapsed > _LARGE_AFTER and self._on_large < 0.1 * elapsed and rng.random() < 0.05:
            size = int(rng.choice(self._large))
            return int(rng.integers(1, max(2, min(8, _LARGE_CALL // size) + 1))), size
        size = int(rng.choice(self._sizes))
        rows = min(self._rows, max(1, _SMALL_CALL // size))
        return (rows if rng.random() < _MANY else int(rng.integers(1, 4))), size

    def few(self, rng: np.random.Generator) -> tuple[int, int]:
        """Return rows and vocabulary size of a case whose rows are looked at one by one."""
        if self._compiles and self._seen:
            # their number alone, and one row, are shapes of their own
            return 3, self._seen[int(rng.integers(len(self._seen)))][1]
        return int(rng.integers(2, 6)), int(rng.choice(self._sizes))

    def drawn_from(self, rng: np.random.Generator, sizes: Sequence[int], elapsed: float) -> int:
        """Return the vocabulary size, one of `sizes`, of a row that is drawn from many times, in calls of several shapes."""
        if self._drawn_from and self._keeps_to_known(elapsed):
            return self._drawn_from[int(rng.integers(len(self._drawn_from)))]
        # the first may stay the only one: not the smallest
        size = int(rng.choice(sizes)) if self._drawn_from else sorted(sizes)[len(sizes) // 2]
        if size not in self._drawn_from:
            self._drawn_from.append(size)
        return size

    def took(self, rows: int, size: int, seconds: float) -> None:
        """Learn from a call and its judgement that took `seconds`."""
        if size in self._large:
            self._on_large += seconds
            return
        shape = (rows, size)
        known = shape in self._seen
        if not known:
            self._seen.append(shape)
        if rows >= self._rows and seconds < _BRISK:
            self._rows = min(self._rows * self._step, self._most)
        elif rows >= self._rows and seconds > _SLOW and known:
            self._rows = max(2, self._rows // self._step)

    def answered(self, rows: int, size: int, seconds: float) -> None:
        """Learn from any call that was answered, after `seconds`: the first of its shape, or another."""
        shape = (rows, size)
        if shape not in self._warm:
            self._warm.add(shape)
            self._on_new += seconds
            self._first.setdefault(shape, seconds)
            return
        if shape not in self._again:
            self._twice.append(shape)
        self._again[shape] = min(seconds, self._again.get(shape, seconds))

    def forget(self) -> None:
        """Take every shape for a new one: the process that knew them is gone."""
        self._warm.clear()

    def _keeps_to_known(self, elapsed: float) -> bool:
        return self._on_new > _ON_NEW * elapsed and self._compiles

    @property
    def _step(self) -> int:
        return 16 if self._compiles else 2

    @property
    def _compiles(self) -> bool:
        """Whether a new shape costs a compilation: its first call takes far longer than the quickest of the others."""
        if len(self._twice) < 3:
            return False
        first = [self._first[shape] for shape in self._twice]
        ratios = [self._first[shape] / max(self._again[shape], 1e-9) for shape in self._twice]
        return median(first) > _COMPILES and median(ratios) > 10
