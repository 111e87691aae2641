"""What a stateful stage remembers of the steps before, as intervals: honest implementations differ by rounding, and so do their states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Span:
    """Numbers known to lie between `low` and `high`, [R] each."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def exact(cls, value: np.ndarray) -> Span:
        """Return numbers known exactly."""
        return cls(np.asarray(value, np.float64), np.asarray(value, np.float64))

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.high + other.high)

    def __sub__(self, other: Span) -> Span:
        return Span(self.low - other.high, self.high - other.low)

    def shifted(self, by: np.ndarray) -> Span:
        """Return the numbers plus `by` [R]."""
        return Span(self.low + by, self.high + by)

    def scaled(self, by: np.ndarray) -> Span:
        """Return the numbers times `by` [R] >= 0."""
        return Span(self.low * by, self.high * by)

    def widened(self, by: np.ndarray) -> Span:
        """Return the numbers give or take `by` [R]."""
        return Span(self.low - by, self.high + by)


Memory = Mapping[str, Span]
NOTHING: Memory = {}


def remembering(update: Callable[..., Memory]) -> Callable[[F], F]:
    """Declare how the memory of a twin moves: `update(before, after, tokens, memory=…, <its parameters and conventions>) -> Memory`."""

    def declare(twin: F) -> F:
        twin.remember = update  # type: ignore[attr-defined]
        return twin

    return declare
