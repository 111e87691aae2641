"""Defects of the draw: the distribution is right and the token is not."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import (
    distribution,
    draw_by_gumbel,
    keep_top_k,
    masked,
    require,
    require_logits,
    require_temperature,
    softmax,
    tempered,
)

_INT32_MAX = np.iinfo(np.int32).max


@defect(id="FI-03", source="flashinfer-ai/flashinfer PR #923, 2025-03-09", kind="draw fallback", expected_checks=("uniforms", "support"))
@sf.target(order=["temperature", "top_k"], returns="tokens")
def last_id_when_the_mass_falls_short(logits, temperature, top_k, u):
    """When the float32 sum of the row does not exceed the uniform, the last id is returned whatever its probability."""
    require_logits(logits)
    require_temperature(temperature)
    z = tempered(logits, temperature)
    cdf = np.cumsum(softmax(masked(z, keep_top_k(z, top_k))).astype(np.float32), -1, dtype=np.float32)
    found = [int(np.searchsorted(row, x, side="right")) for row, x in zip(cdf, np.asarray(u, np.float64))]
    return np.minimum(found, logits.shape[-1] - 1).astype(np.int32)


@defect(id="SG-05", source="sgl-project/sglang-omni PR #824 review, 2026-06-19", kind="wrong space", expected_checks=("draws",))
@sf.target(order=["temperature"], returns="tokens")
def noise_is_added_to_probabilities(logits, temperature, seed):
    """Gumbel noise is added to p instead of ln p, so the draw is nearly uniform over the allowed tokens."""
    require_logits(logits)
    require_temperature(temperature)
    if temperature == 0:
        return logits.argmax(-1).astype(np.int32)
    p = distribution(logits, temperature)
    return draw_by_gumbel(masked(p, ~np.isneginf(logits)), np.random.default_rng(int(seed) % 2**64))


@defect(id="FI-13", source="flashinfer-ai/flashinfer PR #2295, 2026-01-08", kind="seeding", expected_checks=("seeds", "draws"))
@sf.target(order=["temperature"], returns="tokens")
def every_call_starts_the_same_generator(logits, temperature):
    """Without a seed a new generator with the same default seed is made at each call, so all calls draw the same."""
    require_logits(logits)
    require_temperature(temperature)
    return draw_by_gumbel(tempered(logits, temperature), np.random.default_rng(0))


@defect(id="JX-06", source="jax-ml/jax issue #6762, 2021-05-17", kind="id out of range", expected_checks=("contract",))
@sf.target(order=["temperature"], returns="tokens")
def nan_gives_the_sentinel_id(logits, temperature, seed):
    """The arg-max looks for the position equal to the maximum; with a NaN there is none and the initial 2147483647 comes out."""
    require(not np.isposinf(logits).any() and not np.isneginf(logits).all(-1).any(), "logits must not hold +inf or a row of -inf")
    require_temperature(temperature)
    clean = np.where(np.isnan(logits), 0, logits)
    scores = tempered(clean, temperature) + np.random.default_rng(int(seed) % 2**64).gumbel(size=logits.shape)
    scores = np.where(np.isnan(logits), np.nan, scores)
    ids = np.where(scores == scores.max(-1, keepdims=True), np.arange(logits.shape[-1]), _INT32_MAX)
    return ids.min(-1).astype(np.int32)
