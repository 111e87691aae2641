"""XTC: among tokens with p >= t remove all but the least probable; nothing if fewer than two (p-e-w, text-generation-webui PR 6335).

The coin of `xtc_probability` (1 when it is not given) fires or rests. t > 0.5 is a no-op. A top choice has p >= t, or p > t. Ties of the least
probable: one of them stays, or all do. Where fewer than `min_tokens_to_keep` would be left nothing is removed (llama.cpp).
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, Occasion, conventions, tie_rule
from samplerfuzz.oracle.keeping import spare_all, spares
from samplerfuzz.oracle.ranking import Ranking


def _chance(at: Occasion) -> np.ndarray:
    return at.parameters.get("xtc_probability", np.ones(1))


@spares(spare_all)
@conventions(
    Convention(name="coin", values=("fires", "rests"), matters=lambda at: bool((_chance(at) < 1).any()), chance=_chance),
    # they differ at exactly t only, which rounding leaves open unless it is told to be exact
    Convention(name="choice", values=("at_least", "above"), matters=lambda at: False),
    tie_rule(),
)
def xtc(
    belief: Belief, *, xtc_threshold: np.ndarray, coin: str, choice: str, ties: str, xtc_probability: np.ndarray | None = None
) -> Belief:
    """Remove the top choices but the least probable."""
    probability = np.ones_like(xtc_threshold) if xtc_probability is None else xtc_probability
    bottom, ceiling = belief.probabilities()
    band = 16 * belief.arithmetic.unit * (1 + xtc_threshold) + min(1e-7, 2 * belief.arithmetic.unit)
    # a threshold that the arithmetic rounds to 0.5 need not be a no-op: two tokens may round to 0.5 as well
    off = (xtc_threshold > 0.5 + band) | (probability <= 0) | ((probability < 1) & (coin == "rests"))
    threshold = xtc_threshold[:, None]
    low, high = belief.span
    over = np.greater if choice == "above" else np.greater_equal
    surely = belief.must & over(bottom, threshold + band[:, None])
    possibly = belief.possible & over(ceiling, threshold - band[:, None])
    # a token goes when it is a top choice and a less probable top choice remains
    upward = Ranking(low=-high, high=-low, alike=belief.alike)
    lower_surely, lower_possibly = upward.before(surely * 1.0, possibly * 1.0, ties)
    removed = surely & (lower_surely > 0)
    kept = ~possibly | ~(lower_possibly > 0)
    least = belief.must.sum(-1) - np.maximum(possibly.sum(-1) - 1, 0)
    most = belief.most - np.maximum(surely.sum(-1) - 1, 0) if ties in ("cut", "low", "high") else None
    return belief.narrowed(kept=kept, removed=removed, least=least, most=most).where(~off, belief)
