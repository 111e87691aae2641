"""p-less: p_i >= Σ p² (Tan, Wu, Howard 2025, arXiv 2509.23234; the authors' code: ryttry/p-less, p_less_samplers.py).

Σ p² is the probability that two draws agree. p-less-norm relaxes it by chance agreement: p_i >= (N·Σp² − 1)/(N − 1). There is nothing to set: the
parameters `p_less` and `p_less_norm` are switches, 0 off, 1 on; a sampler that takes none is always on. The authors count the whole
vocabulary in N, masked and filtered tokens included; counting the tokens that can be drawn makes masking a token the same as deleting it. Never
empty by its definition (p_max >= Σp²); in floating point a uniform row may lie below its own threshold, so the arg-max stays.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, conventions
from samplerfuzz.oracle.floors import collision, keep_above


def p_less(belief: Belief, *, p_less: np.ndarray | None = None) -> Belief:
    """Keep what has at least the probability that two draws agree, where `p_less` [R] is on."""
    return keep_above(belief, *collision(belief)).where(_on(belief, p_less), belief)


@conventions(Convention(name="count", values=("allowed", "vocabulary")))
def p_less_norm(belief: Belief, *, count: str, p_less_norm: np.ndarray | None = None) -> Belief:
    """Keep what has at least the normalised threshold, where `p_less_norm` [R] is on."""
    low, high = collision(belief)
    size = np.full(len(belief.z), belief.z.shape[-1])
    fewest, most = (belief.must.sum(-1), belief.possible.sum(-1)) if count == "allowed" else (size, size)
    # the subtraction is in units of 1 and leaves something of the size of a probability
    unit = belief.arithmetic.unit
    low, high = (
        np.where(n > 1, (n * s - 1 + sign * 8 * unit * (n * s + 1)) / np.maximum(n - 1, 1), 0.0)
        for n, s, sign in ((fewest, low, -1), (most, high, 1))
    )
    return keep_above(belief, np.maximum(low, 0), np.maximum(high, 0)).where(_on(belief, p_less_norm), belief)


def _on(belief: Belief, switch: np.ndarray | None) -> np.ndarray:
    return np.ones(len(belief.z), bool) if switch is None else switch > 0
