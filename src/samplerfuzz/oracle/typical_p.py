"""Locally typical sampling: sort by |−ln p − H| ascending, smallest prefix with mass >= τ (Meister et al., arXiv 2202.00666).

0 · ln 0 = 0. τ >= 1 is off; τ <= 0 keeps the first or is off. The arg-max need not survive; `min_tokens_to_keep` keeps the first of this order.
The mass has to reach τ, or to exceed it; tokens whose score ties with the last one stay, or as many as the mass takes.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, conventions, tie_rule
from samplerfuzz.oracle.entropy import information
from samplerfuzz.oracle.keeping import spare_first, spares
from samplerfuzz.oracle.ranking import Ranking
from samplerfuzz.oracle.top_p import CROSSING, keep_prefix


@spares(lambda before, after, count: spare_first(before, after, count, typicality(before)))
@conventions(
    Convention(name="nothing", values=("first", "off"), matters=lambda at: bool((at["typical_p"] <= 0).any())), CROSSING, tie_rule()
)
def typical_p(belief: Belief, *, typical_p: np.ndarray, nothing: str, crossing: str, ties: str) -> Belief:
    """Keep the tokens whose surprisal is nearest the entropy, up to mass `typical_p` [R]."""
    off = (typical_p >= 1) | ((typical_p <= 0) & (nothing == "off"))
    return keep_prefix(belief, typicality(belief), np.where(off, 1.0, typical_p), crossing=crossing, ties=ties)


def typicality(belief: Belief) -> Ranking:
    """Return the ranking by the distance of the surprisal from the entropy, the nearest first."""
    known, possible = information(belief), belief.possible
    unit, size = belief.arithmetic.unit, belief.z.shape[-1]
    noise = 32 * unit * (1 + np.log(max(size, 2)) + np.abs(known.surprisal))
    error = known.wobble + known.entropy_error[:, None] + noise + (known.p < belief.arithmetic.underflow) * 1e300
    score = np.abs(known.surprisal - known.entropy[:, None])
    low, high = np.where(possible, -(score + error), -np.inf), np.where(possible, -np.maximum(score - error, 0), -np.inf)
    return Ranking(low=low, high=high, alike=belief.alike)
