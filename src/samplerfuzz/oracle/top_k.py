"""top-k: the k largest logits of the allowed set (Fan et al. 2018). Ties of the k-th: keep all, or cut them to k.

Before or after temperature alike for T > 0. Neutral: k <= 0 or k >= V. Never empty.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import conventions, tie_rule


@conventions(tie_rule())
def top_k(belief: Belief, *, top_k: np.ndarray, ties: str) -> Belief:
    """Keep the `top_k` [R] largest of each row."""
    size = belief.z.shape[-1]
    k = np.where((top_k <= 0) | (top_k >= size), size, top_k)
    surely, possibly = belief.count_before(belief.ranking, ties)
    count = k.astype(np.int64)
    most = count if ties in ("cut", "low", "high") else None
    kept = belief.narrowed(kept=possibly < k[:, None], removed=surely >= k[:, None], least=count, most=most)
    return kept.where(k < size, belief)
