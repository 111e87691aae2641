"""Sets of numbers written as people write them: "(0, 1]", "-1; [1, V)", where V is the size of the vocabulary."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from math import inf
from typing import Any

import numpy as np

from samplerfuzz.core.errors import UsageError

_PART = re.compile(r"([\[(])\s*([^,\s]+)\s*,\s*([^,\s]+)\s*([\])])")


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Numbers between two ends; an end is a number or "V", the size of the vocabulary.

    Attributes:
      low: lower end.
      high: upper end.
      closed: whether the lower and the upper end belong to it.
    """

    low: float | str
    high: float | str
    closed: tuple[bool, bool]

    def contains(self, values: Any, vocabulary: int | None = None) -> np.ndarray:
        """Return bool of the shape of `values`; NaN is in no interval, and an unknown V is as large as can be."""
        array = np.asarray(values, np.float64)
        low, high = (_number(end, vocabulary) for end in (self.low, self.high))
        above = array >= low if self.closed[0] else array > low
        return above & (array <= high if self.closed[1] else array < high)


@cache
def intervals(text: str) -> tuple[Interval, ...]:
    """Read "(0, 1]", "0", "-1; [1, V)" or "" (nothing).

    >>> [bool(contains("-1; [1, V)", k, 4)) for k in (-1, 0, 1, 3, 4)]
    [True, False, True, True, False]
    """
    return tuple(_interval(part.strip()) for part in text.split(";") if part.strip())


def contains(text: str, values: Any, vocabulary: int | None = None) -> np.ndarray:
    """Return which of `values` lie in the set `text`, bool of their shape."""
    inside = np.zeros(np.shape(values), bool)
    for item in intervals(text):
        inside = inside | item.contains(values, vocabulary)
    return inside


def _number(end: float | str, vocabulary: int | None) -> float:
    if end == "V":
        return inf if vocabulary is None else float(vocabulary)
    return float(end)


def _interval(text: str) -> Interval:
    matched = _PART.fullmatch(text)
    if matched is None:
        point = _end(text)
        return Interval(low=point, high=point, closed=(True, True))
    left, low, high, right = matched.groups()
    return Interval(low=_end(low), high=_end(high), closed=(left == "[", right == "]"))


def _end(text: str) -> float | str:
    if text == "V":
        return text
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{text!r} is no end of an interval; expected a number, inf or V") from None
