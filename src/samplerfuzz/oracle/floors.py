"""Filters that keep what has at least a certain probability, where that floor is known up to an interval."""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief


def keep_above(belief: Belief, low: np.ndarray, high: np.ndarray) -> Belief:
    """Keep p >= floor, the floor [R] somewhere from `low` to `high`; where nothing reaches it, the arg-max."""
    bottom, ceiling = belief.probabilities()
    rounding = 16 * belief.arithmetic.unit
    least, most = belief.span
    # the arg-max stays in any case; where its place is open so is who stays
    highest = np.where(belief.must, least, -np.inf).max(-1, keepdims=True)
    maybe_first = belief.possible & (most >= highest)
    surely_first = maybe_first & (maybe_first.sum(-1, keepdims=True) == 1)
    # below the normal numbers nothing is known of a probability but that it is small
    small = belief.arithmetic.underflow / 64
    kept = (bottom >= (high * (1 + rounding) + small)[:, None]) | surely_first
    removed = (ceiling < (low * (1 - rounding) - small)[:, None]) & ~maybe_first
    return belief.narrowed(kept=kept, removed=removed, least=1)


def largest(belief: Belief) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds [R] of the largest probability of each row."""
    bottom, ceiling = belief.probabilities()
    return np.where(belief.must, bottom, 0).max(-1), np.where(belief.possible, ceiling, 0).max(-1)


def collision(belief: Belief) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds [R] of Σ p², the probability that two draws agree."""
    least, most = belief.weights()
    rounding = belief.arithmetic.mass_band(belief.z.shape[-1])
    surely, possibly = least.sum(-1), most.sum(-1)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        low = np.nan_to_num((least**2).sum(-1) / possibly**2)
        high = np.where(surely > 0, (most**2).sum(-1) / surely**2, np.inf)
    return low * (1 - rounding), np.minimum(high, 1.0) * (1 + rounding)
