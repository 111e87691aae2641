"""Verdicts: what a sampler returned against what the oracle believes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samplerfuzz.oracle.belief import Belief

_LOG_NEGLIGIBLE = np.log(1e-12)


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """Rows judged; every array is bool. A row without a violation passed.

    Attributes:
      never_kept: [R, V] a token of never has probability.
      must_missing: [R, V] a token of must has none.
      too_few: [R] fewer tokens than any correct answer has.
      too_many: [R] more tokens than any correct answer has.
      out_of_band: [R, V] probability outside its interval.
      expected: [R, V] the exact distribution over the observed set.
      vacuous: [R] nothing could have been wrong.
    """

    never_kept: np.ndarray
    must_missing: np.ndarray
    too_few: np.ndarray
    too_many: np.ndarray
    out_of_band: np.ndarray
    expected: np.ndarray
    vacuous: np.ndarray

    @property
    def wrong(self) -> np.ndarray:
        """[R] bool."""
        return self.never_kept.any(-1) | self.must_missing.any(-1) | self.too_few | self.too_many | self.out_of_band.any(-1)


def judge_distributions(belief: Belief, observed: np.ndarray, *, values: str) -> Verdicts:
    """Judge the distributions [R, V] (normalised, float64, no NaN) a sampler gave.

    values: "logits" or "probs", the form in which the target returned them; tiny probabilities may be flushed to zero.
    """
    support, possible, must = observed > 0, belief.possible, belief.must
    unit, size = belief.arithmetic.unit, observed.shape[-1]
    error = np.minimum(belief.error, 1e300)
    z = np.where(possible, belief.z, 0.0)
    sunk = belief.may_vanish
    inside = support & possible
    # greedy, then a list that forbids the arg-max: where the stages in their order leave nothing, no answer is wrong
    some = possible.any(-1)
    never_kept = support & ~possible & possible.any(-1, keepdims=True)
    must_missing = must & ~support & ~sunk
    too_few = some & (inside.sum(-1) < np.maximum(1, belief.least - sunk.sum(-1)))
    too_many = inside.sum(-1) > belief.most
    share = np.where(inside, z, -np.inf)
    peak = share.max(-1, keepdims=True)
    peak[~np.isfinite(peak)] = 0
    share -= peak
    expected = np.exp(share)
    total = np.maximum(expected.sum(-1, keepdims=True), 1e-300)
    expected /= total
    share -= np.log(total)
    wobble = np.abs(z)
    wobble *= 6 * unit
    wobble += error
    # what is, or may be, heavy enough to move the others lends them its own uncertainty
    heavy = share + wobble > _LOG_NEGLIGIBLE
    np.minimum(wobble, 700, out=wobble)
    shared = (wobble * heavy).max(-1, keepdims=True)
    slack = np.expm1(np.minimum(wobble + shared, 700))
    slack += 4 * (size + 64) * unit
    floor = belief.arithmetic.underflow * size + (0.0 if values == "logits" else unit * 1e-3)
    out_of_band = (observed > expected * (1 + slack) + floor) | (observed < expected / (1 + slack) - floor)
    out_of_band &= inside & ~sunk
    out_of_band &= ~(belief.greedy[:, None] & (possible.sum(-1, keepdims=True) > 1))
    vacuous = ~must.any(-1) & ~(~possible & (belief.z > -np.inf)).any(-1) & (belief.least <= 1) & (slack.min(-1) > 1) | ~some
    return Verdicts(
        never_kept=never_kept,
        must_missing=must_missing,
        too_few=too_few,
        too_many=too_many,
        out_of_band=out_of_band,
        expected=expected,
        vacuous=vacuous,
    )


def judge_tokens(belief: Belief, tokens: np.ndarray) -> np.ndarray:
    """Return [R] bool: the token [R] (in range) is one that none may emit; none is where nothing is left to emit."""
    return ~np.take_along_axis(belief.possible, tokens[:, None].astype(np.int64), -1)[:, 0] & belief.possible.any(-1)
