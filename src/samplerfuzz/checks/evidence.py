"""Expected against observed, as JSON-ready numbers for a finding."""

from __future__ import annotations

from typing import Any

import numpy as np

from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.oracle import Belief, precision

_LISTED = 64


def expected_sets(belief: Belief, row: int) -> dict[str, Any]:
    """Return must, may, never (at most 64 ids each) and the counts between which one row may keep."""
    possible = belief.possible[row]
    return {
        "must": _ids(belief.must[row]),
        "may": _ids(belief.may[row]),
        "never": _ids(~possible),
        "least": int(belief.least[row]),
        "most": int(belief.most[row]),
    }


def expected_interval(belief: Belief, row: int) -> dict[str, Any]:
    """Return must, may, never and bounds of every token's probability."""
    low, high = interval(belief)
    return {**expected_sets(belief, row), "low": low[row].tolist(), "high": high[row].tolist()}


def interval(belief: Belief, draws_in: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Return honest bounds [R, V] of the probability of each token in a draw, rounding of the draw included: in `draws_in`, or in the belief's arithmetic.

    Where the two differ a probability may be kept in the belief's arithmetic, and is summed and drawn in the other.
    """
    bottom, ceiling = belief.probabilities()
    band: float | np.ndarray = belief.arithmetic.mass_band(belief.z.shape[-1])
    if draws_in:
        band = precision(draws_in).mass_band(belief.z.shape[-1]) + 4 * belief.arithmetic.unit * ceiling
    low = np.where(belief.must, np.maximum(bottom - band, 0), 0.0)
    free = belief.greedy[:, None] & (belief.possible.sum(-1, keepdims=True) > 1)
    return np.where(free, 0.0, low), np.where(belief.possible, np.minimum(np.where(free, 1.0, ceiling + band), 1.0), 0.0)


def observed_row(judgement: Judgement, row: int) -> dict[str, Any]:
    """Return what a target gave for one row."""
    if judgement.outcome.form == "tokens":
        return {"outcome": "value", "token": int(judgement.outcome.value[row])}
    p = judgement.distributions[row]
    return {"outcome": "value", "kept": _ids(p > 0), "probabilities": [float(x) for x in p]}


def _ids(mask: np.ndarray) -> list[int]:
    return np.flatnonzero(mask)[:_LISTED].tolist()
