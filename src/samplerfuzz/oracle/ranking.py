"""Tokens of each row in descending order of keys that are known up to an interval, and sums over what stands before each.

A token whose key surely exceeds ours precedes us; one whose interval overlaps ours may precede us or not. Sorting is done once and
serves every weight; O(V log V) a row.

Tokens that were alike and have had the same arithmetic tie in every implementation. A tie rule says which of them stands first:
"low" or "high", the lowest or the highest id; "all", none before another; with any other rule each may stand before the others or not.
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
      alike: [R, V] arrays; tokens tie where all of them are equal.
    """

    low: np.ndarray
    high: np.ndarray
    alike: tuple[np.ndarray, ...] = ()

    def surely_before(self, weights: np.ndarray, ties: str = "") -> np.ndarray:
        """Return [R, V]: for each token the sum of the weights of those that surely stand before it."""
        before = _prefix(weights, *self._surely)
        if ties in ("low", "high"):
            lower, higher = self._tied(weights)
            before += lower if ties == "low" else higher
        return before

    def possibly_before(self, weights: np.ndarray, ties: str = "") -> np.ndarray:
        """Return [R, V]: for each token the sum of the weights of the others that may stand before it."""
        before = _prefix(weights, *self._possibly) - weights
        if ties in ("low", "high", "all"):
            lower, higher = self._tied(weights)
            before -= {"low": higher, "high": lower, "all": lower + higher}[ties]
        return np.maximum(before, 0.0)

    def _tied(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return [R, V] twice: the sums of the weights of the tokens that tie with each and have a lower id, and a higher one."""
        order, begin, end = self._groups
        sums = np.zeros((weights.shape[0], weights.shape[1] + 1))
        np.cumsum(np.take_along_axis(weights, order, -1), axis=-1, out=sums[:, 1:])
        lower, higher = np.empty_like(weights), np.empty_like(weights)
        np.put_along_axis(lower, order, sums[:, :-1] - np.take_along_axis(sums, begin, -1), -1)
        np.put_along_axis(higher, order, np.take_along_axis(sums, end, -1) - sums[:, 1:], -1)
        return lower, higher

    @cached_property
    def _groups(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens [R, V] that tie side by side, by id, and where the group of each place begins and ends."""
        keys = self.alike or (self.low, self.high)
        order = np.lexsort(keys, axis=-1)
        place = np.broadcast_to(np.arange(order.shape[1]), order.shape)
        new = np.ones(order.shape, bool)
        ordered = [np.take_along_axis(key, order, -1) for key in keys]
        new[:, 1:] = np.logical_or.reduce([key[:, 1:] != key[:, :-1] for key in ordered])
        begin = np.maximum.accumulate(np.where(new, place, 0), axis=-1)
        last = np.ones(order.shape, bool)
        last[:, :-1] = new[:, 1:]
        end = np.minimum.accumulate(np.where(last, place + 1, order.shape[1])[:, ::-1], axis=-1)[:, ::-1]
        return order, begin, end

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
