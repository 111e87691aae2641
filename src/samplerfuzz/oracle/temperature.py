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
    arithmetic = belief.arithmetic
    best_high = np.where(possible, z, -np.inf).max(-1, keepdims=True)
    best_low = np.where(possible, z, np.inf).min(-1, keepdims=True)
    reference = np.where(t[:, None] > 0, best_high, best_low)
    reference = np.where(np.isfinite(reference), reference, 0.0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scaled = np.clip((z - reference) / t[:, None], -1e300, 0)
        scaled = np.where(np.isnan(scaled), 0.0, scaled)
        magnitude = np.abs(z) / np.abs(t[:, None]) + np.abs(reference) / np.abs(t[:, None])
        error = belief.error / np.abs(t[:, None]) + 4 * arithmetic.unit * np.where(np.isfinite(magnitude), magnitude, 1e300)
    same = z == reference
    error = np.where(same & (belief.error == 0), 0.0, error)
    # beyond the largest finite number the order among the losers is lost, not the winner
    error = np.where((scaled < -arithmetic.largest / 64) & ~same, np.maximum(error, np.abs(scaled) - 200), error)
    error = np.where(np.isinf(t)[:, None], 0.0, error)
    divided = belief.replaced(z=np.where(possible, scaled, -np.inf), error=np.where(possible, error, 0.0))
    return divided.where(~greedy, _greedy(belief))


def _greedy(belief: Belief) -> Belief:
    """Keep the arg-max; ties and what rounding may tie are free."""
    low, high = belief.bounds()
    floor = np.where(belief.must, low, -np.inf).max(-1, keepdims=True)
    removed = high < floor
    winner = belief.possible & ~removed
    alone = winner.sum(-1, keepdims=True) == 1
    result = belief.narrowed(kept=winner & alone, removed=removed, least=1)
    return result.replaced(greedy=np.ones_like(belief.greedy), least=np.ones_like(belief.least))
