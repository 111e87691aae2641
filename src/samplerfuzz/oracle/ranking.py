"""Tokens of each row in descending order of keys that are known up to an interval, and sums over what stands before each.

A token whose key surely exceeds ours precedes us; one whose interval overlaps ours may precede us or not. Sorting is done once and
serves every weight; O(V log V) a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Rows of keys.

    Attributes:
      low, high: [R, V] float64 ends of each key's interval, low < high where the key is finite; -inf ranks last.
    """

    low: np.ndarray
    high: np.ndarray

    def surely_before(self, weights: np.ndarray) -> np.ndarray:
        """Return [R, V]: for each token the sum of the weights of those whose key surely exceeds its own."""
        return _prefix(weights, *self._surely)

    def possibly_before(self, weights: np.ndarray) -> np.ndarray:
        """Return [R, V]: for each token the sum of the weights of the others whose key may exceed or equal its own."""
        return np.maximum(_prefix(weights, *self._possibly) - weights, 0.0)

    @cached_property
    def _surely(self) -> tuple[np.ndarray, np.ndarray]:
        return _cuts(-self.low, -self.high)

    @cached_property
    def _possibly(self) -> tuple[np.ndarray, np.ndarray]:
        return _cuts(-self.high, -self.low)


def _cuts(keys: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the flat ascending order [R, V] of `keys` and, for each limit, the place in `_prefix` of the sum of keys below it."""
    rows, size = keys.shape
    order = np.argsort(keys, -1) + np.arange(rows)[:, None] * size
    levels = size.bit_length()
    width = (1 << levels) - 1
    ordered = np.full((rows, width), np.inf)
    ordered[:, :size] = keys.ravel()[order]
    flat, begin = ordered.ravel(), np.arange(rows)[:, None] * width - 1
    count = np.zeros((rows, size), np.int64)
    for level in reversed(range(levels)):
        step = 1 << level
        count += step * (flat[begin + count + step] < limits)
    return order, count + np.arange(rows)[:, None] * (size + 1)


def _prefix(weights: np.ndarray, order: np.ndarray, cut: np.ndarray) -> np.ndarray:
    rows, size = weights.shape
    sums = np.zeros((rows, size + 1))
    np.cumsum(weights.ravel()[order], axis=-1, out=sums[:, 1:])
    return sums.ravel()[cut]
