"""A random generator whose every number is drawn by somebody else: how the regimes and edges of this room become Hypothesis strategies.

What Hypothesis has drawn it can shrink. The plainest answer of every method makes the plainest case: `random` shrinks towards 1, for
what happens with a probability then does not happen, numbers shrink towards 0 and few digits, choices towards the roundest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

T = TypeVar("T")
_STEPS = 1024
_WIDEST = 4.0
_LEAST = 1e-6


class DrawnGenerator:
    """The methods of `numpy.random.Generator` that make cases, drawn by `draw`, which takes a Hypothesis strategy and returns a value."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def random(self, size: Any = None) -> Any:
        """Return multiples of 1/1024 in [0, 1)."""
        return self._array(size, lambda: (_STEPS - 1 - self._draw(st.integers(0, _STEPS - 1))) / _STEPS)

    def integers(self, low: Any, high: Any = None, size: Any = None) -> Any:
        """Return integers in [low, high), or in [0, low); the bounds may be arrays."""
        low, high = (0, low) if high is None else (low, high)
        if size is None and np.ndim(high):
            return np.array([self._draw(st.integers(int(low), int(end) - 1)) for end in high], np.int64)
        drawn = self._array(size, lambda: self._draw(st.integers(int(low), int(high) - 1)))
        return drawn if size is None else drawn.astype(np.int64)

    def uniform(self, low: float, high: float, size: Any = None) -> Any:
        """Return numbers in [low, high], also where a distribution would never put one."""
        return self._array(size, lambda: self._draw(_between(float(low), float(high))))

    def normal(self, size: Any = None) -> Any:
        """Return numbers within four standard deviations."""
        return self._array(size, lambda: self._draw(_between(-_WIDEST, _WIDEST)))

    def choice(self, options: Any, size: Any = None, p: Any = None) -> Any:
        """Return elements of `options`, all of which are met: how likely each is, is left to Hypothesis."""
        among = _roundest_first(list(range(options)) if isinstance(options, int) else list(options))
        return self._array(size, lambda: among[self._draw(st.integers(0, len(among) - 1))])

    def permutation(self, of: int | Sequence[Any]) -> np.ndarray:
        """Return a permutation of the integers below a number, or of a sequence."""
        return np.array(self._draw(st.permutations(range(of) if isinstance(of, int) else list(of))), np.int64)

    def permuted(self, rows: np.ndarray, axis: int = -1) -> np.ndarray:
        """Return `rows`, of shape [R, N], each row of it permuted by itself."""
        if axis not in (-1, 1) or np.ndim(rows) != 2:
            raise ValueError(f"the last axis of [R, N] can be permuted, not axis {axis} of {np.shape(rows)}")
        orders = [self.permutation(rows.shape[1]) for _ in range(rows.shape[0])]
        return np.array([row[order] for row, order in zip(rows, orders, strict=True)], rows.dtype).reshape(rows.shape)

    def _array(self, size: Any, one: Callable[[], Any]) -> Any:
        if size is None:
            return one()
        shape = tuple(size) if isinstance(size, tuple) else (int(size),)
        return np.array([one() for _ in range(math.prod(shape))]).reshape(shape)


def _between(low: float, high: float) -> st.SearchStrategy[float]:
    # numbers that a distribution would never give, 1e-74 for one, are none that a float32 can tell from 0
    return st.floats(low, high).map(lambda x: x if abs(x) >= _LEAST else max(low, 0.0))


def _roundest_first(options: list[T]) -> list[T]:
    """Return numbers with the fewest characters first; anything else in the order given.

    >>> _roundest_first([0.3, -20.0, 1.0, 0.0])
    [0.0, 1.0, 0.3, -20.0]
    """
    if not all(isinstance(option, int | float | np.number) for option in options):
        return options
    return sorted(options, key=lambda x: (len(f"{abs(float(x)):.9g}") + (float(x) < 0), abs(float(x))))  # type: ignore[arg-type]
