"""top-p: the smallest prefix of p, sorted descending, whose mass is at least P (Holtzman et al. 2020).

A token stays iff the mass before it is below P: the crossing token stays. Where released engines let it stay at exactly P too, the sum has to
exceed P. P >= 1 is off. P <= 0 keeps the arg-max or is off. The mass is measured on what the earlier filters left, or on the full row
("joint" filters). Ties of the crossing token: keep all, or as many as the mass takes.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, conventions, tie_rule
from samplerfuzz.oracle.ranking import Ranking

# at which sum a prefix is long enough: they differ at exactly P only, which rounding leaves open unless it is told to be exact
CROSSING = Convention(name="crossing", values=("reached", "exceeded"), matters=lambda at: False)


@conventions(
    Convention(name="mass", values=("left", "full"), matters=lambda at: at.filtered),
    Convention(name="nothing", values=("maximum", "off"), matters=lambda at: bool((at["top_p"] <= 0).any())),
    CROSSING,
    tie_rule(),
)
def top_p(belief: Belief, *, top_p: np.ndarray, unfiltered: Belief, mass: str, nothing: str, crossing: str, ties: str) -> Belief:
    """Keep the nucleus of mass `top_p` [R]."""
    wanted = np.where((top_p <= 0) & (nothing == "off"), 1.0, top_p)
    if mass == "full":
        return belief.intersected(_nucleus(unfiltered, wanted, crossing, ties))
    return _nucleus(belief, wanted, crossing, ties)


def _nucleus(belief: Belief, mass: np.ndarray, crossing: str, ties: str) -> Belief:
    kept = keep_prefix(belief, belief.ranking, mass, crossing=crossing, ties=ties)
    if ties not in ("cut", "low", "high"):
        return kept
    most = np.where(mass >= 1, belief.most, _most(belief, np.clip(mass, 0, 1), crossing))
    return kept.replaced(most=np.minimum(kept.most, np.maximum(most, 1)))


def keep_prefix(belief: Belief, ranking: Ranking, mass: np.ndarray, *, crossing: str, ties: str) -> Belief:
    """Keep the smallest prefix of a ranking whose sum reaches, or exceeds, `mass` [R]; mass >= 1 is off but for rounding."""
    band = belief.arithmetic.mass_band(belief.z.shape[-1])
    least, most = belief.mass_before(ranking, ties)
    target = np.clip(mass, 0.0, 1.0)[:, None]
    first = ~(least > 0)
    surely_first = ~(most > 0)
    exceeded = crossing == "exceeded"
    kept = (most <= target - band if exceeded else most < target - band) | surely_first
    removed = (least > target + band if exceeded else least >= target + band) & ~first
    removed |= (target <= 0) & (least > 0)
    off = (mass >= 1)[:, None]
    # at P = 1 a float sum may reach 1 before the last tokens: their mass is within the band
    kept = kept | (off & (most < 1 - band))
    count = _fewest(belief, target[:, 0] - band, exceeded)
    return belief.narrowed(kept=kept, removed=removed & ~off, least=count)


def _fewest(belief: Belief, mass: np.ndarray, exceeded: bool) -> np.ndarray:
    """Return [R]: fewest tokens of any order that can hold `mass`."""
    _, ceiling = belief.probabilities()
    return _count(ceiling, mass, exceeded)


def _most(belief: Belief, mass: np.ndarray, crossing: str) -> np.ndarray:
    """Return [R]: most tokens that the smallest prefix by probability can have, however its ties are ordered."""
    bottom, _ = belief.probabilities()
    return _count(bottom * belief.must, mass + belief.arithmetic.mass_band(belief.z.shape[-1]), crossing == "exceeded")


def _count(p: np.ndarray, mass: np.ndarray, exceeded: bool) -> np.ndarray:
    """Return [R]: how many of the largest of p [R, V] it takes until their sum reaches, or exceeds, `mass` [R]."""
    total = np.cumsum(-np.sort(-p, -1), -1)
    short = total <= mass[:, None] if exceeded else total < mass[:, None]
    return np.minimum(short.sum(-1) + 1, p.shape[-1])
