"""Locally typical sampling: sort by |−ln p − H| ascending, smallest prefix with mass >= τ (Meister et al., arXiv 2202.00666).

0 · ln 0 = 0. τ >= 1 is off; τ <= 0 keeps the first or is off. The arg-max need not survive.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, conventions
from samplerfuzz.oracle.ranking import Ranking
from samplerfuzz.oracle.top_p import keep_prefix


@conventions(Convention(name="nothing", values=("first", "off"), matters=lambda at: bool((at["typical_p"] <= 0).any())))
def typical_p(belief: Belief, *, typical_p: np.ndarray, nothing: str) -> Belief:
    """Keep the tokens whose surprisal is nearest the entropy, up to mass `typical_p` [R]."""
    bottom, ceiling = belief.probabilities()
    nominal = np.where(belief.possible, belief.z, -np.inf)
    top = nominal.max(-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    weight = np.exp(nominal - top)
    total = weight.sum(-1, keepdims=True)
    p = weight / np.maximum(total, 1e-300)
    surprisal = np.where(belief.possible, np.log(np.maximum(total, 1e-300)) + top - np.where(belief.possible, belief.z, 0), np.inf)
    entropy = np.where(p > 0, p * np.where(p > 0, surprisal, 0), 0).sum(-1, keepdims=True)
    doubtful = np.where(belief.may, ceiling, 0).sum(-1, keepdims=True).clip(0, 1)
    size = belief.z.shape[-1]
    share = np.clip(doubtful, 1e-300, 0.5)
    spread = np.where(doubtful > 0, doubtful * np.log(max(size, 2)) - share * np.log(share) - (1 - share) * np.log1p(-share), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        wobble = np.where(
            belief.possible, np.maximum(np.log(np.maximum(ceiling, 1e-320)) + surprisal, -surprisal - np.log(np.maximum(bottom, 1e-320))), 0
        )
    wobble = np.where(np.isfinite(wobble), np.maximum(wobble, 0), 1e300)
    noise = 32 * belief.arithmetic.unit * (1 + np.log(max(size, 2)) + np.where(belief.possible, np.abs(surprisal), 0))
    entropy_error = (p * np.minimum(wobble, 1e6)).sum(-1, keepdims=True) + spread + noise.min(-1, keepdims=True)
    error = wobble + entropy_error + noise + np.where(belief.possible, p < belief.arithmetic.underflow, 0) * 1e300
    score = np.where(belief.possible, np.abs(np.where(belief.possible, surprisal, 0) - entropy), 0)
    low_key = np.where(belief.possible, -(score + error), -np.inf)
    high_key = np.where(belief.possible, -np.maximum(score - error, 0), -np.inf)
    off = (typical_p >= 1) | ((typical_p <= 0) & (nothing == "off"))
    return keep_prefix(belief, Ranking(low=low_key, high=high_key), np.where(off, 1.0, typical_p))
