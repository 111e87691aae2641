"""Times taken side by side: a few calls of each in turn, again and again, so that what else the machine does meets all alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

FEWEST = 5
_TURN = 0.03  # seconds: a slow step is called once a turn, a fast one often enough to be warm
_MOST = 100


@dataclass(frozen=True, kw_only=True)
class Times:
    """Milliseconds a call."""

    median: float
    least: float
    quartiles: tuple[float, float]
    calls: int

    @property
    def spread(self) -> float:
        """Half of what lies between the quartiles, as a share of the median."""
        low, high = self.quartiles
        return (high - low) / 2 / self.median


def side_by_side(steps: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, Times]:
    """Call the steps in turn until each has been called five times and they have taken `seconds` apiece.

    Example:
      >>> side_by_side({"nothing": lambda: None}, 0.0)["nothing"].calls >= 5
      True
    """
    for step in steps.values():
        step()
    often = {name: min(_MOST, 1 + int(_TURN / max(_once(step), 1e-9))) for name, step in steps.items()}
    taken: dict[str, list[float]] = {name: [] for name in steps}
    collecting = gc.isenabled()
    gc.disable()
    try:
        end = time.perf_counter() + seconds * len(steps)
        while time.perf_counter() < end or min(map(len, taken.values())) < FEWEST:
            for name, step in steps.items():
                if often[name] > 1:
                    step()  # the threads of the one before may still be waiting for work, and its data is in the caches
                taken[name] += [_once(step) for _ in range(often[name])]
    finally:
        if collecting:
            gc.enable()
    return {name: _summary(np.asarray(values) * 1e3) for name, values in taken.items()}


def _once(step: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def _summary(values: np.ndarray) -> Times:
    low, median, high = (float(v) for v in np.quantile(values, (0.25, 0.5, 0.75)))
    return Times(median=median, least=float(values.min()), quartiles=(low, high), calls=len(values))
