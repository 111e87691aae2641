"""Temperature: z / T for every real T; 0 is greedy, negative inverts, ±∞ is uniform over the allowed set (Kauffman 2023 for T < 0).

A mask is applied after the division: a masked token stays masked. Reading 0 divides by any T but 0, reading 1 treats
T <= 0 as greedy (llama.cpp); readings 2 and 3 are the same on machines that take a denormal T for zero. NaN has no reading.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, conventions

SMALLEST_NORMAL = 1.1754943508222875e-38


def _is_subnormal(temperature: np.ndarray) -> np.ndarray:
    return (np.abs(temperature) < SMALLEST_NORMAL) & (temperature != 0)


@conventions(
    Convention(name="negative", values=("invert", "greedy"), matters=lambda at: bool((at["temperature"] < 0).any())),
    Convention(name="subnormal", values=("divide", "greedy"), matters=lambda at: bool(_is_subnormal(at["temperature"]).any())),
)
def temperature(belief: Belief, *, temperature: np.ndarray, negative: str, subnormal: str) -> Belief:
    """Divide by `temperature` [R]."""
    greedy = temperature == 0
    if negative == "greedy":
        greedy |= temperature < 0
    if subnormal == "greedy":
        greedy |= _is_subnormal(temperature)
    t = np.where(greedy, 1.0, temperature)
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
    divided = belief.replaced(z=np.where(possible, scaled, -np.inf), error=np.where(possible, error, 0.0))
    return divided.where(~greedy, _greedy(belief)) if greedy.any() else divided


def _greedy(belief: Belief) -> Belief:
    """Keep the arg-max; ties and what rounding may tie are free."""
    low, high = belief.bounds()
    floor = np.where(belief.must, low, -np.inf).max(-1, keepdims=True)
    removed = high < floor
    winner = belief.possible & ~removed
    alone = winner.sum(-1, keepdims=True) == 1
    result = belief.narrowed(kept=winner & alone, removed=removed, least=1)
    return result.replaced(greedy=np.ones_like(belief.greedy), least=np.ones_like(belief.least))
