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
        rows = self._unclear
        if ties in ("low", "high") and len(rows):
            lower, higher = self._tied(weights[rows])
            before[rows] += lower if ties == "low" else higher
        return before

    def possibly_before(self, weights: np.ndarray, ties: str = "") -> np.ndarray:
        """Return [R, V]: for each token the sum of the weights of the others that may stand before it."""
        before = _prefix(weights, *self._possibly) - weights
        rows = self._unclear
        if ties in ("low", "high", "all") and len(rows):
            lower, higher = self._tied(weights[rows])
            before[rows] -= {"low": higher, "high": lower, "all": lower + higher}[ties]
        return np.maximum(before, 0.0)

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        """The tokens [R, V] by the upper ends, and whether no two intervals of a row overlap [R]: then their order is the only one."""
        order = np.argsort(-self.high, -1)
        flat = order + _begins(order)
        low, high = self.low.ravel()[flat], self.high.ravel()[flat]
        # tokens at -inf have no weight: how they stand among themselves is nothing to anybody
        return order, ((low[:, :-1] > high[:, 1:]) | (high[:, 1:] == -np.inf)).all(-1)

    @cached_property
    def _unclear(self) -> np.ndarray:
        """Row numbers: intervals overlap, so some token may stand before another or behind it."""
        return np.flatnonzero(~self._sorted[1])

    def _tied(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return, of the unclear rows, the sums of the weights of the tokens that tie with each and have a lower id, and a higher one."""
        order, begin, end = self._groups
        sums = np.zeros((weights.shape[0], weights.shape[1] + 1))
        np.cumsum(np.take_along_axis(weights, order, -1), axis=-1, out=sums[:, 1:])
        lower, higher = np.empty_like(weights), np.empty_like(weights)
        np.put_along_axis(lower, order, sums[:, :-1] - np.take_along_axis(sums, begin, -1), -1)
        np.put_along_axis(higher, order, np.take_along_axis(sums, end, -1) - sums[:, 1:], -1)
        return lower, higher

    @cached_property
    def _groups(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens of the unclear rows that tie side by side, by id, and where the group of each place begins and ends."""
        keys = [key[self._unclear] for key in self.alike or (self.low, self.high)]
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
    def _rank(self) -> np.ndarray:
        """The place [R, V] of each token in `_sorted`."""
        order = self._sorted[0]
        rank = np.empty_like(order)
        rank.ravel()[order + _begins(order)] = np.broadcast_to(np.arange(order.shape[1]), order.shape)
        return rank

    @cached_property
    def _surely(self) -> tuple[np.ndarray, np.ndarray]:
        return self._cuts(self._rank, -self.low, -self.high)

    @cached_property
    def _possibly(self) -> tuple[np.ndarray, np.ndarray]:
        return self._cuts(self._rank + 1, -self.high, -self.low)

    def _cuts(self, count: np.ndarray, keys: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the ascending order of `keys` and how many of them are below each limit, both [R, V] and flat; `count` holds in clear rows."""
        order, rows = self._sorted[0], self._unclear
        if len(rows):
            order, count = order.copy(), count.copy()
            order[rows] = np.argsort(keys[rows], -1)
            count[rows] = _below(keys[rows], order[rows], limits[rows])
        return order + _begins(order), count + np.arange(len(count))[:, None] * (count.shape[1] + 1)


def _begins(rows: np.ndarray) -> np.ndarray:
    """Return [R, 1]: where each row of a [R, V] array begins in the flat one."""
    return np.arange(rows.shape[0])[:, None] * rows.shape[1]


def _below(keys: np.ndarray, order: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return [R, V]: how many keys of the row are below each limit, by bisection in all rows at once."""
    rows, size = keys.shape
    levels = size.bit_length()
    width = (1 << levels) - 1
    ordered = np.full((rows, width), np.inf)
    ordered[:, :size] = np.take_along_axis(keys, order, -1)
    flat, begin = ordered.ravel(), np.arange(rows)[:, None] * width - 1
    count = np.zeros((rows, size), np.int64)
    for level in reversed(range(levels)):
        step = 1 << level
        count += step * (flat[begin + count + step] < limits)
    return count


def _prefix(weights: np.ndarray, order: np.ndarray, cut: np.ndarray) -> np.ndarray:
    rows, size = weights.shape
    sums = np.zeros((rows, size + 1))
    np.cumsum(weights.ravel()[order], axis=-1, out=sums[:, 1:])
    return sums.ravel()[cut]
