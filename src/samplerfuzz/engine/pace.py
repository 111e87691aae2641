"""How many rows, of how many tokens, the next call gets: as much as the target answers quickly, and now and then a whole vocabulary."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median

import numpy as np

# sizes of real vocabularies, and one beyond the blocks that kernels cut rows into
LARGE = (1000, 4096, 32000, 49152, 128256)
_BRISK, _SLOW, _COMPILES = 0.05, 0.2, 0.05
_SMALL_CALL, _LARGE_CALL = 2**17, 2**18
_LARGE_AFTER = 6.0  # seconds: what is wrong with small rows shows on small rows


class Pace:
    """Choose the shapes of calls.

    Args:
      sizes: vocabulary sizes thrown most of the time.
      large: those thrown now and then.
      most_rows: of a call.
    """

    def __init__(self, *, sizes: Sequence[int], large: Sequence[int] = LARGE, most_rows: int) -> None:
        self._sizes, self._large, self._most = tuple(sizes), tuple(large), most_rows
        self._rows = min(16, most_rows)
        self._seen: list[tuple[int, int]] = []
        self._first: deque[float] = deque(maxlen=8)
        self._again: deque[float] = deque(maxlen=8)
        self._on_large = 0.0

    def shape(self, rng: np.random.Generator, elapsed: float) -> tuple[int, int]:
        """Return rows and vocabulary size of the next call, `elapsed` seconds into the campaign."""
        if self._compiles and self._seen and rng.random() < 0.9:
            return self._seen[int(rng.integers(len(self._seen)))]
        if self._large and elapsed > _LARGE_AFTER and self._on_large < 0.1 * elapsed and rng.random() < 0.05:
            size = int(rng.choice(self._large))
            return int(rng.integers(1, max(2, min(8, _LARGE_CALL // size) + 1))), size
        size = int(rng.choice(self._sizes))
        rows = min(self._rows, max(1, _SMALL_CALL // size))
        return (rows if rng.random() < 0.7 else int(rng.integers(1, 4))), size

    def few(self, rng: np.random.Generator) -> tuple[int, int]:
        """Return rows and vocabulary size of a case whose rows are looked at one by one."""
        if self._compiles and self._seen:
            # their number alone, and one row, are shapes of their own
            return 3, self._seen[int(rng.integers(len(self._seen)))][1]
        return int(rng.integers(2, 6)), int(rng.choice(self._sizes))

    def took(self, rows: int, size: int, seconds: float) -> None:
        """Learn from a call and its judgement that took `seconds`."""
        if size in self._large:
            self._on_large += seconds
            return
        shape = (rows, size)
        known = shape in self._seen
        (self._again if known else self._first).append(seconds)
        if not known:
            self._seen.append(shape)
        if rows >= self._rows and seconds < _BRISK:
            self._rows = min(self._rows * 2, self._most)
        elif rows >= self._rows and seconds > _SLOW and known:
            self._rows = max(2, self._rows // 2)

    @property
    def _compiles(self) -> bool:
        """Whether a new shape costs a compilation: then the shapes already seen are kept to."""
        if len(self._first) < 6 or not self._again:
            return False
        first = median(self._first)
        return first > _COMPILES and first > 10 * median(self._again)
