"""top-nσ: z_i >= max z − n·σ, σ over the allowed set (Tang et al., arXiv 2411.07641).

n <= 0 is off; at exactly 0 also "the maximum only". σ population or with Bessel's correction: released implementations differ and both
are fair unless a dialect is declared.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, conventions


@conventions(
    Convention(name="sigma", values=("population", "bessel")),
    Convention(name="zero", values=("off", "maximum"), matters=lambda at: bool((at["top_n_sigma"] == 0).any())),
)
def top_n_sigma(belief: Belief, *, top_n_sigma: np.ndarray, sigma: str, zero: str) -> Belief:
    """Keep what lies within `top_n_sigma` [R] standard deviations of the maximum."""
    off = (top_n_sigma < 0) | np.isposinf(top_n_sigma) | ((top_n_sigma == 0) & (zero == "off"))
    n = np.where(off, 1.0, top_n_sigma)
    inside = belief.possible
    count = np.maximum(inside.sum(-1), 1)
    z = np.where(inside, belief.z, 0.0)
    top = np.where(inside, belief.z, -np.inf).max(-1)
    top = np.where(np.isfinite(top), top, 0.0)
    shifted = np.where(inside, z - top[:, None], 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = shifted.sum(-1) / count
        squares = np.where(inside, (shifted - mean[:, None]) ** 2, 0).sum(-1)
        deviation = np.sqrt(squares / (np.maximum(count - 1, 1) if sigma == "bessel" else count))
        scale = np.abs(z).max(-1)
        wobble = np.where(inside, belief.error, 0).max(-1)
        band = (
            (n * 4 + 2) * (wobble + 8 * belief.arithmetic.unit * np.sqrt(count) * scale)
            + 8 * belief.arithmetic.unit * count * n * deviation
            + 1e-30
        )
        lost = ~np.isfinite(deviation) | (squares > belief.arithmetic.largest) | belief.may.any(-1) | ~np.isfinite(wobble)
        # squares that underflow to zero: sigma may be 0
        lost |= (deviation > 0) & (squares < belief.arithmetic.underflow)
        gap = np.where(inside, top[:, None] - z, np.inf)
        limit = (n * deviation)[:, None]
    removed = (gap > limit + band[:, None]) & ~lost[:, None]
    kept = ((gap < limit - band[:, None]) & ~lost[:, None]) | (gap + belief.error <= 0)
    kept |= (count == 1)[:, None]
    return belief.narrowed(kept=kept, removed=removed, least=1).where(~off, belief)
