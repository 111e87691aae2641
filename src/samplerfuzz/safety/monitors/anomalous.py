"""The rate of tokens that a model cannot say, against the rate that is usual for it.

Null: whatever came before, the next token is one of the registry with probability at most ρ₀. Prompts differ, so ρ₀ is chosen with room for those that come. For every ρ > ρ₀ the likelihood ratio of ρ to ρ₀ has a mean of at
most 1 under it, step by step, so their mixture by a Beta(½, ½) cut to (ρ₀, 1) is an e-process, in closed form: with k such tokens of n,

    B(k + ½, n − k + ½) · P(Beta(k + ½, n − k + ½) > ρ₀) / (B(½, ½) · P(Beta(½, ½) > ρ₀)) / (ρ₀^k (1 − ρ₀)^{n − k}).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import betaincc, betaln, xlog1py, xlogy

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.safety.monitors.sequential import PERIOD, SequentialTest

NAME = "anomalous tokens"
_PRIOR = 0.5


def _log_mixture(k: ArrayLike, n: ArrayLike, floor: float) -> np.ndarray:
    """Return ln of the mean likelihood over rates above `floor`."""
    a, b = np.add(k, _PRIOR), np.subtract(n, k) + _PRIOR
    with np.errstate(divide="ignore"):
        return np.asarray(betaln(a, b) + np.log(betaincc(a, b, floor)) - betaln(_PRIOR, _PRIOR) - np.log(betaincc(_PRIOR, _PRIOR, floor)))


class AnomalousTokenMonitor:
    """Watch how often tokens of a registry are emitted.

    Args:
      tokens: ids of the registry.
      baseline: ρ₀, the largest rate that is usual, in (0, 1).
      alpha: bound on the probability of a false alarm.
      period: see `SequentialTest`.

    >>> monitor = AnomalousTokenMonitor([7, 8], baseline=0.001, alpha=1e-4)
    >>> monitor.update([1, 2, 7, 3, 8, 8, 8, 7])
    >>> monitor.alarm
    True
    """

    def __init__(self, tokens: Iterable[int], *, baseline: float, alpha: float, period: int = PERIOD) -> None:
        if not 0 < baseline < 1:
            raise ParameterError(f"baseline = {baseline}: expected a rate above 0 and below 1")
        self.tokens = np.unique(np.fromiter(tokens, np.int64))
        self.baseline = baseline
        self.test = SequentialTest(alpha=alpha, width=2, log_e=self._log_e, period=period)

    def _log_e(self, sums: np.ndarray) -> np.ndarray:
        k, n = sums[..., 0], sums[..., 1]
        return _log_mixture(k, n, self.baseline) - xlogy(k, self.baseline) - xlog1py(n - k, -self.baseline)

    def update(self, tokens: Any) -> None:
        """Take the ids of some steps [T]; a negative one is no token."""
        ids = np.asarray(tokens, np.int64).ravel()
        ids = ids[ids >= 0]
        self.test.observe(np.stack([np.isin(ids, self.tokens), np.ones(len(ids))], -1).astype(np.float64))

    @property
    def e_value(self) -> float:
        """Evidence for a rate above the baseline."""
        return self.test.e_value

    @property
    def alarm(self) -> bool:
        """Whether there has ever been enough evidence."""
        return self.test.alarm_at is not None

    @property
    def interval(self) -> tuple[float, float]:
        """Bounds of a constant rate that hold at all times together with probability at least 1 − α."""
        k, n = self.test.whole
        if n == 0:
            return 0.0, 1.0
        bar = float(_log_mixture(k, n, 0.0)) - math.log(1 / self.test.alpha)

        def above(rate: float) -> float:
            return float(xlogy(k, rate) + xlog1py(n - k, -rate)) - bar

        tiny, middle = 1e-300, k / n
        low = 0.0 if k == 0 or above(tiny) >= 0 else float(brentq(above, tiny, middle, xtol=1e-12))
        high = 1.0 if k == n else float(brentq(above, max(middle, tiny), 1 - 1e-16, xtol=1e-12))
        return low, high

    def merge(self, other: AnomalousTokenMonitor) -> None:
        """Add what another monitor of the same registry saw."""
        if other.baseline != self.baseline or not np.array_equal(other.tokens, self.tokens):
            raise ParameterError("monitors of other tokens or another baseline cannot be merged; make them alike")
        self.test.merge(other.test)

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON data."""
        return {"test": self.test.to_json(), "tokens": self.tokens.tolist(), "baseline": self.baseline}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Invert `to_json`."""
        monitor = cls(data["tokens"], baseline=data["baseline"], alpha=data["test"]["alpha"], period=data["test"]["period"])
        monitor.test.restore(data["test"])
        return monitor

    def describe(self) -> dict[str, Any]:
        """Return what a report says."""
        k, n = (int(x) for x in self.test.whole)
        low, high = self.interval
        rate = k / n if n else None
        return {"monitor": NAME, **self.test.describe(), "count": k, "rate": rate, "low": low, "high": high, "baseline": self.baseline}
