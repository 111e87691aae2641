"""Defects of random streams: which seed a row draws with, and whether it is new."""

from __future__ import annotations

import copy
import secrets

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import (
    draw_by_gumbel,
    generator,
    keep_min_p,
    keep_xtc,
    masked,
    require,
    require_logits,
    require_min_p,
    require_temperature,
    tempered,
)

_NEVER_ADVANCED = np.random.default_rng(20260211)


@defect(id="FI-13", source="flashinfer-ai/flashinfer PR #2295, 2026-01-08", kind="seeding", expected_checks=("seeds", "draws"))
@sf.target(order=["temperature"], returns="tokens")
def every_call_starts_the_same_generator(logits, temperature):
    """Without a seed a new generator with the same default seed is made at each call, so all calls draw the same."""
    require_logits(logits)
    require_temperature(temperature)
    return draw_by_gumbel(tempered(logits, temperature), np.random.default_rng(0))


@defect(id="OT-08", source="ROCm/aiter PR #2035, 2026-02-11", kind="stream reuse", expected_checks=("seeds", "draws"))
@sf.target(order=["temperature"], returns="tokens")
def generator_is_read_and_not_advanced(logits, temperature):
    """Seed and offset are read from the process's generator and the offset is left where it was, so calls reuse the noise."""
    require_logits(logits)
    require_temperature(temperature)
    return draw_by_gumbel(tempered(logits, temperature), copy.deepcopy(_NEVER_ADVANCED))


@defect(id="TR-03", source="NVIDIA/TensorRT-LLM issue #19487, 2026-09-21", kind="seeding", expected_checks=("seeds", "draws"))
@sf.target(order=["temperature"], returns="tokens")
def requests_without_a_seed_share_one_stream(logits, temperature):
    """A request without a seed gets the default one, so rows and calls that have none all draw with the same noise."""
    require_logits(logits)
    require_temperature(temperature)
    z = tempered(logits, temperature)
    return np.concatenate([draw_by_gumbel(z[row : row + 1], generator(0)) for row in range(len(z))])


@defect(id="OL-04", source="ollama/ollama issue #9554, closed by #9374, 2025-03-07", kind="seed ignored", expected_checks=("seeds",))
@sf.target(order=["temperature"], returns="tokens")
def seed_is_ignored(logits, temperature, seed):
    """The seed is accepted and the draw takes the process's own generator."""
    require_logits(logits)
    require_temperature(temperature)
    return draw_by_gumbel(tempered(logits, temperature), np.random.default_rng())


@defect(id="VL-12", source="tenstorrent/tt-metal issue #53802", kind="seeding", expected_checks=("rows",))
@sf.target(order=["temperature"], returns="tokens", per_row=True)
def equal_seeds_are_salted_with_the_slot(logits, temperature, seed):
    """A seed that stands in several rows is made different by the number of the row, so the draw depends on who else is there."""
    require_logits(logits)
    require_temperature(temperature)
    z = tempered(logits, temperature)
    shared = (np.asarray(seed)[:, None] == seed).sum(-1) > 1
    return np.concatenate(
        [draw_by_gumbel(z[row : row + 1], generator(s + row * shared[row])) for row, s in enumerate(np.asarray(seed).tolist())]
    )


@defect(id="TR-01", source="NVIDIA/TensorRT-LLM PR #1742, 2024-06-05", kind="seeding", expected_checks=("rows", "seeds"))
@sf.target(order=["temperature"], returns="tokens", per_row=True)
def seeds_of_the_drawing_rows_are_read_by_slot(logits, temperature, seed):
    """Seeds are packed for the rows that draw and read by the number of the row, so a greedy row gives its followers a later row's seed."""
    require_logits(logits)
    require_temperature(temperature)
    z = tempered(logits, temperature)
    packed = np.zeros(len(z), np.int64)
    drawing = np.asarray(seed, np.int64)[np.asarray(temperature) > 0]
    packed[: len(drawing)] = drawing
    return np.concatenate([draw_by_gumbel(z[row : row + 1], generator(s)) for row, s in enumerate(packed.tolist())])


@defect(id="GM-02", source="google-deepmind/gemma commit 0bc5030, 2025-06-04", kind="batch shape", expected_checks=("contract",))
@sf.target(order=["temperature"], returns="tokens")
def key_is_reshaped_with_the_batch(logits, temperature, seed):
    """Every array argument is reshaped to one entry a row, the two words of the random key too: two rows get one each, three raise."""
    require_logits(logits)
    require_temperature(temperature)
    z = tempered(logits, temperature)
    words = np.array([int(seed) >> 32 & 0xFFFFFFFF, int(seed) & 0xFFFFFFFF]).reshape(len(z), -1)
    return np.concatenate([draw_by_gumbel(z[row : row + 1], np.random.default_rng(key.tolist())) for row, key in enumerate(words)])


@defect(id="SG-03", source="sgl-project/sglang issue #33695, 2026-08-05", kind="validation", expected_checks=("contract",))
@sf.target(order=["min_p"], returns="tokens")
def min_p_with_a_seed_is_refused(logits, min_p, seed):
    """Both are accepted when the request comes in, and together they fail an assertion in the sampler."""
    require_logits(logits)
    require_min_p(min_p)
    require(min_p == 0 or seed is None, "min_p is not supported in seeded sampling")
    return draw_by_gumbel(masked(logits, keep_min_p(logits, min_p)), generator(seed))


@defect(id="LC-05", source="ggml-org/llama.cpp PR #9742 review, 2024-10-04", kind="seed ignored", expected_checks=("seeds",))
@sf.target(order=["xtc"], returns="logits")
def xtc_coin_is_not_seeded(logits, xtc_threshold, xtc_probability, seed):
    """The coin is a hardware random number modulo 100: it ignores the seed, and fires one time in a hundred more than it should."""
    require_logits(logits)
    require(0 <= xtc_threshold <= 1, f"xtc_threshold must be in [0, 1], got {xtc_threshold}")
    require(0 <= xtc_probability <= 1, f"xtc_probability must be in [0, 1], got {xtc_probability}")
    rests = secrets.randbelow(2**32) % 100 / 100 > xtc_probability
    return masked(logits, ~np.isneginf(logits) if rests else keep_xtc(logits, xtc_threshold))


@defect(id="VL-01", source="vllm-project/vllm issue #819, 2023-08-21", kind="without replacement", expected_checks=("draws",))
@sf.target(order=["temperature"], returns="tokens")
def samples_of_one_prompt_differ(logits, temperature, seed):
    """Rows of one prompt are drawn together without replacement: the n first tokens all differ, and some have no probability."""
    require_logits(logits)
    require_temperature(temperature)
    z = tempered(logits, temperature)
    noise = generator(seed)
    out = np.empty(len(z), np.int32)
    for row in np.unique(z, axis=0):
        alike = np.flatnonzero((z == row).all(-1))
        ranked = np.argsort(-(row + noise.gumbel(size=row.shape)), kind="stable")
        out[alike] = np.resize(ranked, len(alike))
    return out
