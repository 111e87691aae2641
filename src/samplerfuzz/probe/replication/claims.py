"""A claim about some tokens, held against controls: an estimate, a 95 % interval, a plain verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from samplerfuzz.probe.census.indicators import auc

SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "undecided"
_RESAMPLED = 2000


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim with what was measured.

    Attributes:
      text: the claim.
      measure: what `estimate` is.
      estimate, low, high: with its 95 % interval; NaN, 0 and 1 where there was no token to measure.
      controls: the same number of the controls, where it has one; else NaN.
      verdict: supported where the interval lies on the claim's side of one half, refuted where it lies on the other.
    """

    text: str
    measure: str
    estimate: float
    low: float
    high: float
    controls: float
    verdict: str


def lower(text: str, measure: str, own: np.ndarray, controls: np.ndarray, rng: np.random.Generator) -> Claim:
    """Return the claim that the numbers `own` are lower than those of the controls: the chance that one is, with a bootstrap interval."""
    estimate, low, high = float("nan"), 0.0, 1.0
    if len(own) and len(controls):
        mine = np.arange(len(own) + len(controls)) < len(own)
        estimate = auc(np.concatenate([own, controls]), mine)
        drawn = [auc(np.concatenate([rng.choice(own, len(own)), rng.choice(controls, len(controls))]), mine) for _ in range(_RESAMPLED)]
        low, high = map(float, np.quantile(drawn, [0.025, 0.975]))
    return Claim(text=text, measure=measure, estimate=estimate, low=low, high=high, controls=float("nan"), verdict=_verdict(low, high))


def share(text: str, measure: str, own: np.ndarray, controls: np.ndarray) -> Claim:
    """Return the claim that something holds of most of `own` [N] bool, and not as often of the controls: its share, with a Wilson interval."""
    estimate, low, high = float("nan"), 0.0, 1.0
    others = float(controls.mean()) if len(controls) else float("nan")
    if len(own):
        interval = binomtest(int(own.sum()), len(own)).proportion_ci(method="wilson")
        estimate, low, high = float(own.mean()), float(interval.low), float(interval.high)
    verdict = _verdict(low, high)
    if verdict == SUPPORTED and not others < low:
        # true of them, and of any token: it is nothing that tells them apart
        verdict = UNDECIDED
    return Claim(text=text, measure=measure, estimate=estimate, low=low, high=high, controls=others, verdict=verdict)


def _verdict(low: float, high: float) -> str:
    return SUPPORTED if low > 0.5 else REFUTED if high < 0.5 else UNDECIDED
