"""XTC: among tokens with p >= t remove all but the least probable; nothing if fewer than two (p-e-w, text-generation-webui PR 6335).

The coin of `xtc_probability` (1 when it is not given) fires or rests. t > 0.5 is a no-op. Ties of the least
probable may be broken in any way, or all be kept. Where fewer than `min_tokens_to_keep` would be left nothing is removed (llama.cpp).
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, Occasion, conventions
from samplerfuzz.oracle.keeping import spare_all, spares
from samplerfuzz.oracle.ranking import Ranking


def _chance(at: Occasion) -> np.ndarray:
    return at.parameters.get("xtc_probability", np.ones(1))


@spares(spare_all)
@conventions(Convention(name="coin", values=("fires", "rests"), matters=lambda at: bool((_chance(at) < 1).any()), chance=_chance))
def xtc(belief: Belief, *, xtc_threshold: np.ndarray, coin: str, xtc_probability: np.ndarray | None = None) -> Belief:
    """Remove the top choices but the least probable."""
    probability = np.ones_like(xtc_threshold) if xtc_probability is None else xtc_probability
    off = (xtc_threshold > 0.5) | (probability <= 0) | ((probability < 1) & (coin == "rests"))
    bottom, ceiling = belief.probabilities()
    band = 16 * belief.arithmetic.unit * (1 + xtc_threshold) + 1e-7
    threshold = xtc_threshold[:, None]
    low, high = belief.span
    surely = belief.must & (bottom > threshold + band[:, None])
    possibly = belief.possible & (ceiling >= threshold - band[:, None])
    # a token goes when it is a top choice and a less probable top choice remains
    upward = Ranking(low=-high, high=-low)
    removed = surely & (upward.surely_before(surely * 1.0) > 0)
    kept = ~possibly | ~(upward.possibly_before(possibly * 1.0) > 0)
    return belief.narrowed(kept=kept, removed=removed, least=1).where(~off, belief)
