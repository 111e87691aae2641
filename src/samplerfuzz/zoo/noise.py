"""Defects of Gumbel noise: the hash, the number of bits, the ends of the uniform."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import descending, generator, require_logits, require_temperature, require_uniforms, softmax, tempered

_SEED_FACTOR, _STEP_FACTOR, _COLUMN_FACTOR = 0x9E3779B1, 0x1FFFFFFFF, 0x1C8CFDFF
_GRAIN = 1e-9
_BITS = 11
_WORD = np.uint64(0xFFFFFFFF)


@defect(
    id="SJ-05",
    source="sgl-project/sglang-jax multinomial_with_seed, 2026-08-21; sgl-project/sglang issue #10938",
    kind="weak hash",
    expected_checks=("draws",),
)
@sf.target(order=["temperature"], returns="tokens", per_row=True)
def columns_are_hashed_linearly(logits, temperature, seed):
    """The noise of a column is a linear hash of seed and rank cut to 24 bits, so the columns of a row depend on each other."""
    require_logits(logits)
    require_temperature(temperature)
    z = tempered(logits, temperature)
    order = descending(z)
    step = [s * _SEED_FACTOR * _STEP_FACTOR for s in np.asarray(seed).tolist()]
    hashed = [[s ^ rank * _COLUMN_FACTOR for rank in range(z.shape[-1])] for s in step]
    u = np.array([[h % 2**24 / 2**24 for h in row] for row in hashed])
    noise = -np.log(-np.log(u + _GRAIN) + _GRAIN)
    ranked = np.take_along_axis(softmax(z), order, -1)
    best = (np.log(ranked + _GRAIN) + noise).argmax(-1)
    return np.take_along_axis(order, best[:, None], -1)[:, 0].astype(np.int32)


@defect(
    id="SG-01",
    source="sgl-project/sglang issue #25106, 2026-05-12; PRs #25133 and #33423",
    kind="closed interval",
    expected_checks=("uniforms", "support"),
)
@sf.target(order=["temperature"], returns="tokens")
def largest_hash_gives_infinite_noise(logits, temperature, u):
    """A hash of 32 ones is divided to exactly 1, whose noise is +∞; on a masked token the score is NaN, and the arg-max takes it."""
    require_logits(logits)
    require_temperature(temperature)
    require_uniforms(u)
    z = tempered(logits, temperature)
    word = np.floor(np.asarray(u, np.float64) * 2**32).astype(np.uint64)
    with np.errstate(divide="ignore", invalid="ignore"):
        uniform = _hash(word[:, None], np.arange(z.shape[-1], dtype=np.uint64)) / (2.0**32 - 1)
        return (z - np.log(-np.log(uniform))).argmax(-1).astype(np.int32)


def _hash(word, column):
    """Return 32 well mixed bits of a word and a column; all ones in column 0 stay all ones."""
    mixed = ~word & _WORD ^ column * np.uint64(0x9E3779B1) & _WORD
    for factor in (0x85EBCA6B, 0xC2B2AE35):
        mixed ^= mixed >> np.uint64(15)
        mixed = mixed * np.uint64(factor) & _WORD
    return (~(mixed ^ mixed >> np.uint64(16)) & _WORD).astype(np.float64)


@defect(id="JX-02", source="jax-ml/jax PR #26974, 2025-03-06; PR #5348, 2021-01-07", kind="coarse uniform", expected_checks=("draws",))
@sf.target(order=["temperature"], returns="tokens")
def noise_has_few_bits(logits, temperature, seed):
    """The uniform under the Gumbel noise has few bits, so the noise ends early on both sides and unlikely tokens come too seldom."""
    require_logits(logits)
    require_temperature(temperature)
    z = tempered(logits, temperature)
    u = np.maximum(generator(seed).integers(0, 2**_BITS, z.shape) / 2**_BITS, 2.0**-_BITS)
    return (z - np.log(-np.log(u))).argmax(-1).astype(np.int32)
