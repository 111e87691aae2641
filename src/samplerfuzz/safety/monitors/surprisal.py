"""Σ(S − H): the tokens are as surprising as the law says, or they were not drawn from it.

Given its row, the surprisal S of a token drawn from p has the mean H exactly, and E[exp(λ(S − H) − ψ(λ))] = 1 for the ψ of the step (module step), so the
product of these factors is a martingale for every λ: no bound on S is assumed and nothing is approximated. Each λ bets on one alternative, in the
likelihood-ratio sense: that the sampler draws at the temperature T/(1 − λ), or, for λ = 1, that it draws from what is kept without looking. The mean over all bets is an e-process.
A step whose law is not known counts nothing, and neither does a token of no probability, which is another monitor's affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from samplerfuzz.safety.monitors.sequential import PERIOD, SequentialTest
from samplerfuzz.safety.step import PSI, TILTS, index

NAME = "surprisal"
_EXCESS, _ENTROPY, _VARENTROPY, _KEPT = (index(name) for name in ("excess", "entropy", "varentropy", "kept"))
BETS = np.array([*TILTS, 1.0])
# float32 statistics are right to about 1e-6: a bet pays for that in advance, so that no rounding, however often, adds up to an alarm
_RELATIVE, _ABSOLUTE = 1e-4, 2e-6


def log_e(sums: np.ndarray) -> np.ndarray:
    """Return ln of the mean of the bets whose logarithms are the sums [..., D]."""
    return np.asarray(logsumexp(sums, axis=-1) - np.log(sums.shape[-1]))


def bets(vectors: np.ndarray, slack: ArrayLike = 0.0) -> np.ndarray:
    """Return ln of the factor by which each bet grows at each step, float64 [T, D], what rounding may add taken off.

    Args:
      vectors: of steps whose law is known [T, F], in the order of `step.FIELDS`.
      slack: by how many nats the logits over the temperature may be off, scalar or [T]: every factor is off by twice that at most.
    """
    uniform = np.log(vectors[:, _KEPT]) - vectors[:, _ENTROPY]
    psi = np.concatenate([vectors[:, PSI], uniform[:, None]], -1)
    off = 2 * np.broadcast_to(slack, vectors.shape[:1])[:, None]
    return np.asarray(BETS * vectors[:, _EXCESS, None] - psi - _RELATIVE * np.abs(psi) - (_ABSOLUTE + off) * np.abs(BETS))


class SurprisalMonitor:
    """Watch whether tokens are drawn from the declared law, as surprisals show.

    Args:
      alpha: bound on the probability that it ever raises an alarm over a correct sampler.
      period: see `SequentialTest`.

    >>> from samplerfuzz.safety.step import statistics_of
    >>> monitor, row = SurprisalMonitor(alpha=1e-4), np.log([[0.7, 0.2, 0.1]])
    >>> step = statistics_of(row, row > -np.inf, [2], 1.0)
    >>> monitor.update(np.repeat(step, 50, 0))  # the least likely token, fifty times
    >>> monitor.alarm
    True
    """

    def __init__(self, *, alpha: float, period: int = PERIOD) -> None:
        self.test = SequentialTest(alpha=alpha, width=len(BETS), log_e=log_e, period=period)
        self.excess = self.variance = 0.0
        self.skipped = 0

    def update(self, vectors: np.ndarray) -> None:
        """Take the vectors of some steps, [T, F] in the order of `step.FIELDS`."""
        vectors = np.asarray(vectors, np.float64).reshape(-1, PSI.stop + len(TILTS))
        known = np.isfinite(vectors[:, _EXCESS]) & np.isfinite(vectors[:, PSI]).all(-1)
        self.skipped += int((~known).sum())
        vectors = vectors[known]
        self.bet(bets(vectors), excess=float(vectors[:, _EXCESS].sum()), variance=float(vectors[:, _VARENTROPY].sum()))

    def bet(self, logs: np.ndarray, *, excess: float, variance: float) -> None:
        """Take ln of the factors of some steps [T, D], as `bets` returns them, with their Σ(S − H) and its variance."""
        self.test.observe(logs)
        self.excess, self.variance = self.excess + excess, self.variance + variance

    @property
    def e_value(self) -> float:
        """Evidence against the declared law: its mean is at most 1 while the sampler is correct."""
        return self.test.e_value

    @property
    def alarm(self) -> bool:
        """Whether there has ever been enough evidence."""
        return self.test.alarm_at is not None

    def merge(self, other: SurprisalMonitor) -> None:
        """Add what another monitor saw."""
        self.test.merge(other.test)
        self.excess, self.variance, self.skipped = self.excess + other.excess, self.variance + other.variance, self.skipped + other.skipped

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON data."""
        return {"test": self.test.to_json(), "excess": self.excess, "variance": self.variance, "skipped": self.skipped}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Invert `to_json`."""
        monitor = cls(alpha=data["test"]["alpha"], period=data["test"]["period"])
        monitor.test.restore(data["test"])
        monitor.excess, monitor.variance, monitor.skipped = float(data["excess"]), float(data["variance"]), int(data["skipped"])
        return monitor

    def describe(self) -> dict[str, Any]:
        """Return what a report says: Σ(S − H) in nats, and in standard deviations of the law."""
        deviations = self.excess / self.variance**0.5 if self.variance > 0 else None
        return {"monitor": NAME, **self.test.describe(), "excess": self.excess, "deviations": deviations, "skipped": self.skipped}
