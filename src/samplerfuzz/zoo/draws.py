"""Defects of the draw: the distribution is right and the token is not."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import (
    distribution,
    draw_by_gumbel,
    generator,
    masked,
    require,
    require_logits,
    require_temperature,
    tempered,
)

_INT32_MAX = np.iinfo(np.int32).max


@defect(id="SG-05", source="sgl-project/sglang-omni PR #824 review, 2026-06-19", kind="wrong space", expected_checks=("draws",))
@sf.target(order=["temperature"], returns="tokens")
def noise_is_added_to_probabilities(logits, temperature, seed):
    """Gumbel noise is added to p instead of ln p, so the draw is nearly uniform over the allowed tokens."""
    require_logits(logits)
    require_temperature(temperature)
    if temperature == 0:
        return logits.argmax(-1).astype(np.int32)
    p = distribution(logits, temperature)
    return draw_by_gumbel(masked(p, ~np.isneginf(logits)), generator(seed))


@defect(id="JX-06", source="jax-ml/jax issue #6762, 2021-05-17", kind="id out of range", expected_checks=("contract",))
@sf.target(order=["temperature"], returns="tokens")
def nan_gives_the_sentinel_id(logits, temperature, seed):
    """The arg-max looks for the position equal to the maximum; with a NaN there is none and the initial 2147483647 comes out."""
    require(not np.isposinf(logits).any() and not np.isneginf(logits).all(-1).any(), "logits must not hold +inf or a row of -inf")
    require_temperature(temperature)
    clean = np.where(np.isnan(logits), 0, logits)
    scores = tempered(clean, temperature) + generator(seed).gumbel(size=logits.shape)
    scores = np.where(np.isnan(logits), np.nan, scores)
    ids = np.where(scores == scores.max(-1, keepdims=True), np.arange(logits.shape[-1]), _INT32_MAX)
    return ids.min(-1).astype(np.int32)
