"""Tail-free sampling: cut the sorted probabilities where their curvature is used up (Trenton Bricken 2019, "Tail Free Sampling").

d_i = |p_i − 2p_{i+1} + p_{i+2}| over p sorted descending; c is the first i at which the running sum of d exceeds z·Σd. A second difference spans
three tokens, and what is kept is what stands before the *first* of the three (c tokens: llama.cpp until 2024, koboldcpp), before the *middle* one
(c + 1: KoboldAI, text-generation-webui, aphrodite) or before the *last* (c + 2: the author's TrentBrick/TailFreeSampling, sampling.py, "to put
it in the center of the tail"). At least one token stays. Masked and filtered tokens are absent, or end the sorted row as zeros, which
bends it once more. z >= 1 is off. With two tokens or fewer there is no curvature: all or one. Where the curvature is nothing but rounding
(a flat row; koboldcpp below 1e-6) any prefix is fair. Ties of the last token are free, together or one by one.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, conventions
from samplerfuzz.oracle.entropy import information
from samplerfuzz.oracle.prefixes import keep_between, sorted_first

_FLAT = 1e-6
_BEFORE = {"first": 0, "middle": 1, "last": 2}


@conventions(Convention(name="before", values=("first", "middle", "last")), Convention(name="masked", values=("absent", "zero")))
def tfs_z(belief: Belief, *, tfs_z: np.ndarray, before: str, masked: str) -> Belief:
    """Keep what stands before the point where the share `tfs_z` [R] of the curvature is exceeded."""
    known = information(belief)
    p, wobble = sorted_first(belief, known.p, np.minimum(known.wobble, 1e6))
    rows, size = p.shape
    count = belief.possible.sum(-1)
    ends = np.full(rows, size) if masked == "zero" else count
    spans = np.arange(max(size - 2, 0)) < ends[:, None] - 2
    bend = np.abs(np.diff(p, 2, axis=-1)) if size > 2 else np.zeros((rows, 0))
    error = p * np.expm1(np.minimum(wobble, 1.0)) + 2 * belief.arithmetic.unit * p
    # of values that may change places, the sorted ones move by no more than the largest of them
    spread = 2 * (error[:, :-2] + 2 * error[:, 1:-1] + error[:, 2:]) if size > 2 else bend
    sums, errors = np.cumsum(bend * spans, -1), np.cumsum(spread * spans, -1)
    errors = errors + belief.arithmetic.mass_band(size) * sums
    total, total_error = (x[:, -1:] if size > 2 else np.zeros((rows, 1)) for x in (sums, errors))
    z = np.clip(tfs_z, 0, 1)[:, None]
    excess, slack = sums - z * total, errors + z * total_error
    fewest, most = ((excess <= -slack) & spans).sum(-1), ((excess <= slack) & spans).sum(-1)
    flat = (total <= _FLAT + 2 * total_error)[:, 0]
    offset = _BEFORE[before]
    # a z that the arithmetic rounds to 1 is off
    most = np.where(tfs_z >= 1 - 2 * belief.arithmetic.unit, count, most + offset)
    kept = keep_between(belief, np.where(flat, 1, fewest + offset), np.where(flat, count, most))
    return kept.where(tfs_z < 1, belief)
