"""min-p: p_i >= a · p_max, that is z_i >= max z + ln a (Nguyen et al., arXiv 2407.01082).

a <= 0 is off; a > 1 keeps the maximum or is off. `>=` or `>` differ only within rounding.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, conventions


@conventions(Convention(name="above_one", values=("maximum", "off"), matters=lambda at: bool((at["min_p"] > 1).any())))
def min_p(belief: Belief, *, min_p: np.ndarray, above_one: str) -> Belief:
    """Keep what has at least the share `min_p` [R] of the largest probability."""
    # what the arithmetic rounds to 1 is not above 1
    above, surely_above = (min_p > bound for bound in (1, 1 + 2 * belief.arithmetic.unit))
    off = (min_p <= 0) | (surely_above & (above_one == "off"))
    share = np.clip(np.where(off, 1.0, min_p), 1e-300, 1.0)
    low, high = belief.bounds()
    peak_low = np.where(belief.must, low, -np.inf).max(-1, keepdims=True)
    peak_high = high.max(-1, keepdims=True)
    band = 16 * belief.arithmetic.unit * (1 + np.abs(np.log(share))) + min(4e-6, 68 * belief.arithmetic.unit)
    # m + ln a is rounded where it lies, far from zero where the logits do
    far = np.where(belief.possible, np.abs(belief.z), 0).max(-1) + np.abs(np.log(share))
    band += 2 * belief.arithmetic.unit * np.where(far < belief.arithmetic.largest, far, 0.0)
    # shares that the dtype cannot tell apart: the probabilities of a flat row lie V times lower than their ratios
    grain = 2 * belief.arithmetic.grain * belief.z.shape[-1]
    lowest, highest = np.log(np.maximum(share - grain, 1e-300))[:, None], np.log(share + grain)[:, None]
    with np.errstate(invalid="ignore"):
        removed = (high < peak_low + lowest - band[:, None]) & ~(above & (above_one == "off"))[:, None]
        top = low >= high.max(-1, keepdims=True)
        kept = (low > peak_high + highest + band[:, None]) | top
    only = belief.possible.sum(-1) == 1
    kept |= only[:, None]
    return belief.narrowed(kept=kept, removed=removed, least=1).where(~off, belief)
