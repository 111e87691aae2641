"""top-p: the smallest prefix of p, sorted descending, whose mass is at least P (Holtzman et al. 2020).

A token stays iff the mass before it is below P: the crossing token stays. P >= 1 is off. P <= 0 keeps the arg-max or is off. The mass is
measured on what the earlier filters left, or on the full row ("joint" filters).
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, conventions
from samplerfuzz.oracle.ranking import Ranking


@conventions(
    Convention(name="mass", values=("left", "full"), matters=lambda at: at.filtered),
    Convention(name="nothing", values=("maximum", "off"), matters=lambda at: bool((at["top_p"] <= 0).any())),
)
def top_p(belief: Belief, *, top_p: np.ndarray, unfiltered: Belief, mass: str, nothing: str) -> Belief:
    """Keep the nucleus of mass `top_p` [R]."""
    wanted = np.where((top_p <= 0) & (nothing == "off"), 1.0, top_p)
    if mass == "full":
        return belief.intersected(keep_prefix(unfiltered, unfiltered.ranking, wanted))
    return keep_prefix(belief, belief.ranking, wanted)


def keep_prefix(belief: Belief, ranking: Ranking, mass: np.ndarray) -> Belief:
    """Keep the smallest prefix of a ranking of at least `mass` [R]; mass >= 1 is off but for rounding."""
    band = belief.arithmetic.mass_band(belief.z.shape[-1])
    least, most = belief.mass_before(ranking)
    target = np.clip(mass, 0.0, 1.0)[:, None]
    first = ~(least > 0)
    surely_first = ~(most > 0)
    kept = (most < target - band) | surely_first
    removed = (least >= target + band) & ~first
    removed |= (target <= 0) & (least > 0)
    off = (mass >= 1)[:, None]
    # at P = 1 a float sum may reach 1 before the last tokens: their mass is within the band
    kept = kept | (off & (most < 1 - band))
    count = _fewest(belief, target[:, 0] - band)
    return belief.narrowed(kept=kept, removed=removed & ~off, least=count)


def _fewest(belief: Belief, mass: np.ndarray) -> np.ndarray:
    """Return [R]: fewest tokens of any order that can hold `mass`."""
    _, ceiling = belief.probabilities()
    total = np.cumsum(-np.sort(-ceiling, -1), -1)
    return np.minimum((total < mass[:, None]).sum(-1) + 1, belief.z.shape[-1])
