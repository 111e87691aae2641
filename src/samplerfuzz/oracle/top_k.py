"""top-k: the k largest logits of the allowed set (Fan et al. 2018). Ties of the k-th: keep all, or any fixed choice.

Before or after temperature alike for T > 0. Neutral: k <= 0 or k >= V. Never empty.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief, sums_above


def top_k(belief: Belief, *, top_k: np.ndarray) -> Belief:
    """Keep the `top_k` [R] largest of each row."""
    size = belief.z.shape[-1]
    k = np.where((top_k <= 0) | (top_k >= size), size, top_k)
    low, high = belief.bounds()
    above_surely = sums_above(np.where(belief.must, low, -np.inf), belief.must * 1.0, high, inclusive=False)
    above_possibly = sums_above(np.where(belief.possible, high, -np.inf), belief.possible * 1.0, low, inclusive=True) - belief.possible
    return belief.narrowed(kept=above_possibly < k[:, None], removed=above_surely >= k[:, None], least=k.astype(np.int64)).where(
        k < size, belief
    )
