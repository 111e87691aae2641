"""top-H: the largest prefix S of p, sorted descending, with H(p_S / Σp_S) <= α·H(p) (Baghaei Potraghloo et al. 2025, arXiv 2509.02510).

That is the paper: the entropy of the truncated and renormalised distribution is bounded by a share of the row's. The authors' own code
(ErfanBaghaei/Top-H-Decoding, logit_processor.py) and transformers (TopHLogitsWarper) sum −p ln p of the prefix without renormalising, over the
100 best tokens only; transformers normalises these among themselves, the authors do not. The most probable token always stays. α >= 1 is
off but for rounding; α <= 0 is refused by both and has no agreed meaning. Ties of the last token are free, together or one by one.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, conventions
from samplerfuzz.oracle.entropy import information
from samplerfuzz.oracle.prefixes import keep_between, sorted_first
from samplerfuzz.oracle.top_k import top_k

_SLICE = 100


@conventions(Convention(name="entropy", values=("renormalised", "partial", "partial of 100", "partial of 100 renormalised")))
def top_h(belief: Belief, *, top_h: np.ndarray, entropy: str) -> Belief:
    """Keep the largest prefix whose entropy is at most the share `top_h` [R] of the row's."""
    size = belief.z.shape[-1]
    best = top_k(belief, top_k=np.full(len(top_h), float(_SLICE)), ties="any") if "100" in entropy and size > _SLICE else belief
    known = information(best if entropy.endswith("100 renormalised") else belief)
    p, surprisal, wobble = sorted_first(best, known.p, known.surprisal, np.minimum(known.wobble, 1e6))
    if entropy == "renormalised":
        mass = np.maximum(np.cumsum(p, -1), 1e-300)
        sums = np.maximum(np.cumsum(p * surprisal, -1) / mass + np.log(mass), 0)
        errors = (np.cumsum(p * wobble, -1) * (1 + sums) + np.cumsum(p * wobble * surprisal, -1)) / mass
    else:
        sums, errors = np.cumsum(p * surprisal, -1), np.cumsum(p * wobble * (1 + surprisal), -1)
    errors = errors + best.arithmetic.mass_band(size) * (1 + sums)
    share = np.minimum(top_h, 1.0)[:, None]
    excess, error = sums - share * sums[:, -1:], errors + share * errors[:, -1:]
    inside = np.arange(size) < best.possible.sum(-1, keepdims=True)
    return keep_between(best, ((excess <= -error) & inside).sum(-1), ((excess <= error) & inside).sum(-1))
