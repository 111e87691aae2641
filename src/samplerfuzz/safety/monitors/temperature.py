"""β̂: the inverse temperature at which the emitted logits have the mean that was observed, against the declared one.

E_β[z], summed over the steps, rises with β, so one β gives the observed Σz; it is the likeliest one. Tokens are drawn at many temperatures, one a request, so what is
estimated is the factor T̂/T = β/β̂ by which all of them are off: 1 where the sampler does what was declared. With λ = 1 − β̂/β the log-likelihood over that of the
declared law is ℓ(λ) = λ Σ(S − H) − Σψ(λ), of which the steps keep value and slope at a few λ (module step).

The interval holds the true factor at all times with probability at least 1 − α: a factor leaves it when a mixture of the others is 1/α times
as likely (Ville). Between the λ that were kept, Ψ is convex and so above its tangents, which makes the interval wider there and never too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicHermiteSpline
from scipy.special import logsumexp

from samplerfuzz.core.errors import ParameterError, UsageError
from samplerfuzz.safety.step import FIELDS, PSI, SLOPE, TILTS, index

NAME = "temperature"
_EXCESS = index("excess")
_KNOTS = np.sort([*TILTS, 0.0])
_PLACES = np.searchsorted(_KNOTS, TILTS)
_FINEST = 8001
_REACH = (-3.0, 0.9)  # a quarter of the declared temperature, ten times it


class TemperatureMonitor:
    """Estimate how many times the declared temperature the emitted tokens show.

    Args:
      alpha: 1 − the confidence of the interval.
    """

    def __init__(self, *, alpha: float) -> None:
        if not 0 < alpha < 1:
            raise ParameterError(f"alpha = {alpha}: expected a probability above 0 and below 1")
        self.alpha = alpha
        self.steps, self.excess, self.slack = 0, 0.0, 0.0
        self.psi, self.slope = np.zeros(len(TILTS)), np.zeros(len(TILTS))

    def update(self, vectors: np.ndarray, slack: ArrayLike = 0.0) -> None:
        """Take the vectors of some steps, [T, F] in the order of `step.FIELDS`; `slack`: see `surprisal.bets`, it widens the interval."""
        vectors = np.asarray(vectors, np.float64).reshape(-1, len(FIELDS))
        known = np.isfinite(vectors[:, _EXCESS]) & np.isfinite(vectors[:, PSI]).all(-1)
        self.slack += float(np.broadcast_to(slack, known.shape)[known].sum())
        vectors = vectors[known]
        self.steps += len(vectors)
        self.excess += float(vectors[:, _EXCESS].sum())
        self.psi = self.psi + vectors[:, PSI].sum(0)
        self.slope = self.slope + vectors[:, SLOPE].sum(0)

    @property
    def factor(self) -> float | None:
        """T̂/T; None where the tokens have no spread or the factor lies outside the range that is kept, 0.5 to 2."""
        psi, slope = self._at_knots()
        if not (slope[0] < self.excess < slope[-1]):
            return None
        roots = CubicHermiteSpline(_KNOTS, psi, slope).derivative().solve(self.excess, extrapolate=False)
        return float(1 / (1 - roots[np.isfinite(roots)][0])) if np.isfinite(roots).any() else None

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """Bounds of T̂/T at all times together with probability at least 1 − α; None: no bound."""
        psi, slope = self._at_knots()
        mixture = logsumexp(_KNOTS * self.excess - psi) - math.log(len(_KNOTS))
        tilts = np.linspace(*_REACH, _FINEST)
        below = (psi + slope * (tilts[:, None] - _KNOTS)).max(-1)
        likely = tilts * self.excess - below + 2 * self.slack * (np.abs(tilts) + np.abs(_KNOTS).max())
        inside = np.flatnonzero(likely >= mixture - math.log(1 / self.alpha))
        if not inside.size:  # narrower than the grid: what is likeliest
            inside = np.array([int(np.argmax(likely))])
        low, high = int(inside[0]) - 1, int(inside[-1]) + 1
        return None if low < 0 else float(1 / (1 - tilts[low])), None if high >= _FINEST else float(1 / (1 - tilts[high]))

    @property
    def alarm(self) -> bool:
        """Whether the interval now leaves the declared temperature out."""
        low, high = self.interval
        return (low is not None and low > 1) or (high is not None and high < 1)

    def _at_knots(self) -> tuple[np.ndarray, np.ndarray]:
        psi, slope = np.zeros(len(_KNOTS)), np.zeros(len(_KNOTS))
        psi[_PLACES], slope[_PLACES] = self.psi, self.slope
        return psi, slope

    def merge(self, other: TemperatureMonitor) -> None:
        """Add what another monitor saw."""
        if other.alpha != self.alpha:
            raise ParameterError(f"alpha {other.alpha} and {self.alpha}: monitors of another confidence cannot be merged; make them alike")
        self.steps, self.excess, self.slack = self.steps + other.steps, self.excess + other.excess, self.slack + other.slack
        self.psi, self.slope = self.psi + other.psi, self.slope + other.slope

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON data."""
        sums = {"psi": self.psi.tolist(), "slope": self.slope.tolist()}
        return {"alpha": self.alpha, "steps": self.steps, "excess": self.excess, "slack": self.slack, **sums}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Invert `to_json`."""
        try:
            monitor = cls(alpha=data["alpha"])
            monitor.steps, monitor.excess, monitor.slack = int(data["steps"]), float(data["excess"]), float(data.get("slack", 0.0))
            monitor.psi, monitor.slope = (np.array(data[name], np.float64) for name in ("psi", "slope"))
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"no state of a monitor: expected what `to_json` wrote ({error!r})") from error
        if monitor.psi.shape != (len(TILTS),) or monitor.slope.shape != (len(TILTS),):
            raise UsageError(f"the state has {monitor.psi.size} tilts; expected {len(TILTS)}: it is of another version")
        return monitor

    def describe(self) -> dict[str, Any]:
        """Return what a report says."""
        low, high = self.interval
        return {
            "monitor": NAME,
            "steps": self.steps,
            "alpha": self.alpha,
            "temperature_over_declared": self.factor,
            "low": low,
            "high": high,
            "alarm": self.alarm,
        }
