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

    def before(self, sure: np.ndarray, possible: np.ndarray, ties: str = "") -> tuple[np.ndarray, np.ndarray]:
        """Return for each token what stands before it.

        Args:
          sure, possible: [R, V] weights; the same array may be both.
          ties: the tie rule.

        Returns:
          [R, V] twice: the sum of the `sure` weights of those that surely stand before it, and that of the `possible` weights of the
          others that may.
        """
        surely = self._prefix(sure)
        possibly = surely if possible is sure else self._prefix(possible)
        rows = self._unclear
        if len(rows):
            possibly = surely.copy() if possible is sure else possibly
            surely[rows] = self._overlaps.surely_before(sure[rows], ties)
            possibly[rows] = self._overlaps.possibly_before(possible[rows], ties)
        return surely, possibly

    def _prefix(self, weights: np.ndarray) -> np.ndarray:
        """Return [R, V]: the sum of the weights before each token, in the order by the upper ends."""
        places = self._sorted[0]
        sums, out = np.zeros(weights.shape), np.empty(weights.shape)
        np.cumsum(weights.ravel()[places[:, :-1]], axis=-1, out=sums[:, 1:])
        out.ravel()[places] = sums
        return out

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        """The places [R, V] of the tokens by the upper ends, and whether no two intervals of a row overlap [R]: then their order is the only one."""
        places = np.argsort(-self.high, -1)
        places += _begins(places)
        low, high = self.low.ravel()[places[:, :-1]], self.high.ravel()[places[:, 1:]]
        # tokens at -inf have no weight: how they stand among themselves is nothing to anybody
        return places, ((low > high) | (high == -np.inf)).all(-1)

    @cached_property
    def _unclear(self) -> np.ndarray:
        """Row numbers: intervals overlap, so some token may stand before another or behind it."""
        return np.flatnonzero(~self._sorted[1])

    @cached_property
    def _overlaps(self) -> _Overlaps:
        rows = self._unclear
        return _Overlaps(low=self.low[rows], high=self.high[rows], alike=tuple(key[rows] for key in self.alike or (self.low, self.high)))


@dataclass(frozen=True, kw_only=True)
class _Overlaps:
    """Rows of keys whose intervals overlap; attributes as of a ranking."""

    low: np.ndarray
    high: np.ndarray
    alike: tuple[np.ndarray, ...]

    def surely_before(self, weights: np.ndarray, ties: str) -> np.ndarray:
        before = _sums(weights, *self._surely)
        if ties in ("low", "high"):
            lower, higher = self._tied(weights)
            before += lower if ties == "low" else higher
        return before

    def possibly_before(self, weights: np.ndarray, ties: str) -> np.ndarray:
        before = _sums(weights, *self._possibly) - weights
        if ties in ("low", "high", "all"):
            lower, higher = self._tied(weights)
            before -= {"low": higher, "high": lower, "all": lower + higher}[ties]
        return np.maximum(before, 0.0)

    def _tied(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums of the weights of the tokens that tie with each and have a lower id, and a higher one."""
        order, begin, end = self._groups
        sums = np.zeros((weights.shape[0], weights.shape[1] + 1))
        np.cumsum(np.take_along_axis(weights, order, -1), axis=-1, out=sums[:, 1:])
        lower, higher = np.empty_like(weights), np.empty_like(weights)
        np.put_along_axis(lower, order, sums[:, :-1] - np.take_along_axis(sums, begin, -1), -1)
        np.put_along_axis(higher, order, np.take_along_axis(sums, end, -1) - sums[:, 1:], -1)
        return lower, higher

    @cached_property
    def _groups(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens that tie side by side, by id, and where the group of each place begins and ends."""
        order = np.lexsort(self.alike, axis=-1)
        place = np.broadcast_to(np.arange(order.shape[1]), order.shape)
        new = np.ones(order.shape, bool)
        ordered = [np.take_along_axis(key, order, -1) for key in self.alike]
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


def _begins(rows: np.ndarray) -> np.ndarray:
    """Return [R, 1]: where each row of a [R, V] array begins in the flat one."""
    return np.arange(rows.shape[0])[:, None] * rows.shape[1]


def _cuts(keys: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ascending order of `keys` and how many of them are below each limit, both [R, V] and flat, as `_sums` wants them."""
    order = np.argsort(keys, -1)
    count = _below(keys, order, limits)
    return order + _begins(order), count + np.arange(len(count))[:, None] * (count.shape[1] + 1)


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


def _sums(weights: np.ndarray, order: np.ndarray, cut: np.ndarray) -> np.ndarray:
    rows, size = weights.shape
    sums = np.zeros((rows, size + 1))
    np.cumsum(weights.ravel()[order], axis=-1, out=sums[:, 1:])
    return sums.ravel()[cut]
