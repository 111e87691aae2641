"""Exact laws of temperature, held against what the JAX samplers make of a row: a law that does not hold to rounding is a defect.

The sampler's float32 probabilities are given a relative error ε: 4u for each unit of |β (z − favoured)|, which is the rounding of the scaled
logit seen through exp, and (N + 64)u for a sum of N terms in any order (u = 2⁻²⁴). What float32 flushes to zero is below 2⁻¹²⁶·N.
From it follow bounds for everything else: |ΔH| ≤ ε(H + 2), |ΔE| ≤ 2ε·spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samplerfuzz.probe.exact import Tempered, tempered

_UNIT, _FLUSHED = 2.0**-24, 2.0**-126
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


@dataclass(frozen=True, kw_only=True)
class Law:
    """A law on one row.

    Attributes:
      name: what must hold.
      worst: largest departure from it over all β, in units of what rounding allows: at most 1 where it holds.
      beta: where that was.
    """

    name: str
    worst: float
    beta: float

    @property
    def holds(self) -> bool:
        """Whether the departure is rounding."""
        return self.worst <= 1


def check_laws(logits: np.ndarray, exact: Tempered, observed: np.ndarray, mirrored: np.ndarray, scaled: np.ndarray) -> list[Law]:
    """Hold the laws against the probabilities that a sampler gave.

    Args:
      logits: [V].
      exact: the row at K ascending inverse temperatures, 0 and both infinities among them.
      observed: [K, V] the sampler's, at T = 1/β.
      mirrored: [K, V] the sampler's for (−z, −T), masked tokens left masked.
      scaled: [K, V] the sampler's for (2z, 2T).
    """
    beta, n = exact.beta, int((logits > -np.inf).sum())
    z = np.where(logits > -np.inf, logits.astype(np.float64), np.nan)
    low, high = np.nanmin(z), np.nanmax(z)
    finite = np.isfinite(beta)
    favoured = np.where(beta >= 0, high, low)
    with np.errstate(invalid="ignore"):
        gap = np.abs(np.where(z == favoured[:, None], 0.0, beta[:, None] * (z - favoured[:, None])))
        size = np.abs(np.where(finite[:, None], beta[:, None] * np.maximum(np.abs(z), np.abs(favoured[:, None])), 0.0))
    error = 4 * _UNIT * np.minimum(gap + size, 1e300) + (n + 64) * _UNIT
    error = np.where(np.isnan(z), 0.0, error)
    # a token of weight e^−100 moves nothing, however little is known of it
    loose = np.where(exact.p > 1e-37, error, 0.0)
    shared = loose.max(-1)
    bound_p = np.expm1(np.minimum(error + shared[:, None], 50.0)) * exact.p + _FLUSHED * n
    entropy, mean = _entropy(observed), np.nansum(observed * np.where(np.isnan(z), 0.0, z), -1)
    epsilon = np.expm1(np.minimum(shared + shared, 50.0))
    bound_h = epsilon * (exact.entropy + 2) + 1e-12
    bound_e = 2 * epsilon * (high - low) + 1e-12
    inner = finite & np.roll(finite, -1)
    inner[-1] = False
    # where hardly any entropy is left there is nothing to integrate
    pairs = np.flatnonzero(inner & (np.maximum(exact.entropy, np.roll(exact.entropy, -1)) > 1e-3))
    between = np.flatnonzero(beta[:-1] < beta[1:])
    both_h, both_e = bound_h[:-1] + bound_h[1:], bound_e[:-1] + bound_e[1:]
    away = np.where(beta[:-1] >= 0, entropy[1:] - entropy[:-1], entropy[:-1] - entropy[1:])
    slope = np.array([_integral(logits, beta[k], beta[k + 1]) for k in pairs])
    last = exact.p[0] if beta[0] == -np.inf else None
    found = [
        _law("p_i = exp(βz_i) / Z, for every β", np.abs(observed - exact.p) / bound_p, beta),
        _law("the entropy is largest at β = 0", (entropy - np.log(n)) / (bound_h + (n + 64) * _UNIT), beta),
        _law("the entropy falls as |β| grows", away[between] / both_h[between], beta[between]),
        _law("E_β[z] never falls as β grows", (mean[:-1] - mean[1:])[between] / both_e[between], beta[between]),
        _law("dH/dβ = −β Var_β(z)", np.abs(entropy[pairs + 1] - entropy[pairs] - slope) / (both_h[pairs] + 1e-9), beta[pairs]),
        _law("(−z, −T) is (z, T)", np.abs(observed - mirrored) / (2 * bound_p), beta),
        _law("(2z, 2T) is (z, T)", np.abs(observed - scaled) / (2 * bound_p), beta),
    ]
    if last is not None:
        found.append(_gap_law(z, beta, observed, n))
    return found


def _gap_law(z: np.ndarray, beta: np.ndarray, observed: np.ndarray, n: int) -> Law:
    """P(not arg-min) ≤ (N − 1)·exp(−g/|T|), g the gap between the least logit and the next."""
    ordered = np.sort(z[~np.isnan(z)])
    below = beta < 0
    others = 1 - np.where(z == ordered[0], observed[below], 0.0).sum(-1)
    gap = next((float(x - ordered[0]) for x in ordered if x > ordered[0]), np.inf)
    with np.errstate(under="ignore"):
        most = (n - 1) * np.exp(beta[below] * gap)
    return _law("P(not arg-min) ≤ (N − 1)·exp(−g/|T|) for T < 0", (others - most) / ((n + 64) * _UNIT * 2), beta[below])


def _law(name: str, departure: np.ndarray, beta: np.ndarray) -> Law:
    worst = departure if departure.ndim == 1 else departure.max(-1)
    # NaN departs from everything
    worst = np.where(np.isnan(worst), np.inf, worst)
    index = int(np.argmax(worst)) if len(worst) else 0
    return (
        Law(name=name, worst=max(0.0, float(worst[index])), beta=float(beta[index])) if len(worst) else Law(name=name, worst=0.0, beta=0.0)
    )


def _entropy(p: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(-np.where(p > 0, p * np.log(p), 0.0).sum(-1) + np.where(np.isnan(p).any(-1), np.nan, 0.0))


def _integral(logits: np.ndarray, begin: float, end: float) -> float:
    """Return −∫ β Var_β(z) dβ by Gauss–Legendre on pieces short enough for the exponentials."""
    inside = logits[logits > -np.inf]
    pieces = int(np.clip(np.ceil((end - begin) * np.ptp(inside) / 16), 1, 16))
    edges = np.linspace(begin, end, pieces + 1)
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    at = (middle[:, None] + half[:, None] * _NODES).ravel()
    row = tempered(inside, at)
    return -float((row.beta * row.variance * (half[:, None] * _WEIGHTS).ravel()).sum())
