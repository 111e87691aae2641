"""Temperature: z / T for every real T; 0 is greedy, negative inverts, ±∞ is uniform over the allowed set (Kauffman 2023 for T < 0).

A mask is applied after the division: a masked token stays masked. Greedy is the arg-max of what the stages before left, or, where an
engine decides on it before anything else, of the row before any filter. T < 0 divides as any other, or is greedy (llama.cpp). NaN has no
reading.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, Occasion, conventions


def _given(at: Occasion) -> np.ndarray:
    return at.parameters.get("temperature", np.ones(1))


NEGATIVE = Convention(name="negative", values=("invert", "greedy"), matters=lambda at: bool((_given(at) < 0).any()))
GREEDY = Convention(name="greedy", values=("in_turn", "first"), matters=lambda at: at.filtered and bool((_given(at) <= 0).any()))


@conventions(NEGATIVE, GREEDY)
def temperature(belief: Belief, *, temperature: np.ndarray, unfiltered: Belief, negative: str, greedy: str) -> Belief:
    """Divide by `temperature` [R]."""
    return divided(belief, temperature, negative=negative, first=unfiltered if greedy == "first" else None)


def divided(belief: Belief, temperature: np.ndarray, *, negative: str, first: Belief | None = None) -> Belief:
    """Divide by `temperature` [R], under conventions; greedy rows take the arg-max of `first` where it is given."""
    zero = temperature == 0
    if negative == "greedy":
        zero |= temperature < 0
    t = np.where(zero, 1.0, temperature)
    possible = belief.possible
    z = np.where(possible, belief.z, 0.0)
    unit, column = belief.arithmetic.unit, t[:, None]
    best = np.where(possible, z, -np.inf).max(-1)
    if (t < 0).any():
        best = np.where(t < 0, np.where(possible, z, np.inf).min(-1), best)
    reference = np.where(np.isfinite(best), best, 0.0)[:, None]
    gap = z - reference
    same = gap == 0
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scaled = np.clip(gap / column, -1e300, 0)
        scaled[np.isnan(scaled)] = 0.0
        magnitude = (np.abs(z) + np.abs(reference)) / np.abs(column)
        error = belief.error / np.abs(column) + 4 * unit * np.minimum(magnitude, 1e300)
    error[same & (belief.error == 0)] = 0.0
    # beyond the largest finite number the order among the losers is lost, not the winner
    far = (scaled < -belief.arithmetic.largest / 64) & ~same
    if far.any():
        error = np.where(far, np.maximum(error, np.abs(scaled) - 200), error)
    error[np.isinf(t)] = 0.0
    result = belief.replaced(z=np.where(possible, scaled, -np.inf), error=np.where(possible, error, 0.0))
    return result.where(~zero, arg_max(belief if first is None else first)) if zero.any() else result


def arg_max(belief: Belief) -> Belief:
    """Keep the arg-max; ties and what rounding may tie are free."""
    low, high = belief.bounds()
    floor = np.where(belief.must, low, -np.inf).max(-1, keepdims=True)
    removed = high < floor
    winner = belief.possible & ~removed
    alone = winner.sum(-1, keepdims=True) == 1
    result = belief.narrowed(kept=winner & alone, removed=removed, least=1)
    return result.replaced(greedy=np.ones_like(belief.greedy), least=np.ones_like(belief.least))
