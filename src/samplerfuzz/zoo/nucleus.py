"""Defects of top-p: the boundary, the direction of the sort, the sum, the way back from sorted order."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import (
    descending,
    distribution,
    keep_ranks,
    keep_top_p,
    masked,
    mass_before,
    require,
    require_logits,
    require_temperature,
    require_top_p,
    softmax,
    tempered,
)


@defect(id="LC-01", source="ggml-org/llama.cpp PR #1953, 2023-06-20", kind="off by one", expected_checks=("support", "distribution"))
@sf.target(order=["temperature", "top_p"], returns="logits")
def top_p_stops_before_the_crossing_token(logits, temperature, top_p):
    """Top-p keeps the largest set with mass ≤ p instead of the smallest with mass ≥ p."""
    require_logits(logits)
    require_temperature(temperature)
    require_top_p(top_p)
    z = tempered(logits, temperature)
    if top_p == 1:
        return z
    order = descending(z)
    kept = np.cumsum(np.take_along_axis(softmax(z), order, -1), -1) <= top_p
    kept[:, 0] = True
    return masked(z, keep_ranks(order, kept, z))


@defect(id="OLD-03", source="BlinkDL/ChatRWKV PR #170, 2023-09-14", kind="empty search", expected_checks=("support", "metamorphic"))
@sf.target(order=["top_p"], returns="logits")
def top_p_one_is_greedy(logits, top_p):
    """The cut-off is the first token whose running mass exceeds p; at p = 1 no token does, and only the best one stays."""
    require_logits(logits)
    require_top_p(top_p)
    p = softmax(logits)
    ranked = np.take_along_axis(p, descending(logits), -1)
    first_above = (np.cumsum(ranked, -1) > top_p).argmax(-1)
    cutoff = np.take_along_axis(ranked, first_above[:, None], -1)
    return masked(logits, p >= cutoff)


@defect(id="OT-06", source="ml-explore/mlx-lm PR #1912, 2026-09-22", kind="precision", expected_checks=("support", "metamorphic"))
@sf.target(order=["top_p"], returns="logits")
def tiny_top_p_keeps_nothing(logits, top_p):
    """A p so small that 1 − p rounds to 1 in float32 leaves no token."""
    require_logits(logits)
    require_top_p(top_p)
    if top_p == 1:
        return masked(logits, ~np.isneginf(logits))
    p = softmax(logits).astype(np.float32)
    order = np.argsort(p, -1, kind="stable")
    running = np.cumsum(np.take_along_axis(p, order, -1), -1, dtype=np.float32)
    return masked(logits, keep_ranks(order, running > np.float32(1 - top_p), logits))


@defect(id="OLD-06", source="dmlc/gluon-nlp issue #1481, 2021-01-15", kind="missing sort", expected_checks=("support", "metamorphic"))
@sf.target(order=["top_p"], returns="logits")
def top_p_without_sorting(logits, top_p):
    """The running mass is taken in the order of the ids instead of the order of the probabilities."""
    require_logits(logits)
    require_top_p(top_p)
    p = softmax(logits)
    return masked(logits, (mass_before(p) < top_p) | (top_p == 1))


@defect(
    id="OLD-05",
    source="lucidrains/routing-transformer issue #1, 2020-06-04",
    kind="permutation",
    expected_checks=("distribution", "metamorphic"),
)
@sf.target(order=["temperature", "top_p"], returns="probs")
def top_p_gathers_instead_of_scattering(logits, temperature, top_p):
    """The filtered probabilities are gathered by the sort order a second time, so they land on other tokens."""
    require_logits(logits)
    require_temperature(temperature)
    require_top_p(top_p)
    p = distribution(logits, temperature)
    order = descending(p)
    ranked = np.take_along_axis(p, order, -1)
    ranked = np.where((mass_before(ranked) < top_p) | (top_p == 1), ranked, 0)
    return np.take_along_axis(ranked / ranked.sum(-1, keepdims=True), order, -1)


@defect(
    id="VL-11",
    source="vllm-project/vllm-ascend PR #4860 review, 2025-12-10",
    kind="sort direction",
    expected_checks=("support", "distribution"),
)
@sf.target(order=["top_p"], returns="logits")
def top_p_keeps_the_tail(logits, top_p):
    """The descending rule is applied to an ascending order, so the least probable tokens stay."""
    require_logits(logits)
    require_top_p(top_p)
    p = softmax(logits)
    order = np.argsort(np.where(np.isneginf(logits), np.inf, logits), -1, kind="stable")
    kept = np.cumsum(np.take_along_axis(p, order, -1), -1) <= top_p
    kept[:, 0] = True
    return masked(logits, keep_ranks(order, kept | (top_p == 1), logits))


@defect(
    id="OLD-02",
    source="facebookresearch/fairseq PR #882, 2019-07-18",
    kind="wrong index",
    expected_checks=("support", "distribution"),
)
@sf.target(order=["top_p"], returns="logits")
def top_p_cutoff_is_the_first_count(logits, top_p):
    """The index of the crossing token is the first entry of the running count of tokens below p instead of the last, so it is 0 or 1."""
    require_logits(logits)
    require_top_p(top_p)
    if top_p == 1:
        return masked(logits, ~np.isneginf(logits))
    order = descending(logits)
    below = np.cumsum(np.take_along_axis(softmax(logits), order, -1), -1) < top_p
    last_included = np.cumsum(below, -1)[:, :1]
    return masked(logits, keep_ranks(order, np.arange(logits.shape[-1]) <= last_included, logits))


@defect(
    id="OLD-04",
    source="lucidrains/x-transformers issue #184, 2023-09-20",
    kind="parameter meaning",
    expected_checks=("support", "distribution"),
)
@sf.target(order=["top_p"], returns="logits")
def top_p_means_what_is_removed(logits, top_p):
    """The parameter is taken for the mass to remove, so the nucleus has the mass 1 − p."""
    require_logits(logits)
    require_top_p(top_p)
    order = descending(logits)
    before = mass_before(np.take_along_axis(softmax(logits), order, -1))
    before[:, 0] = -np.inf
    return masked(logits, keep_ranks(order, before < 1 - top_p, logits))


@defect(
    id="HF-03",
    source="huggingface/transformers PR #19839, 2022-10-24; PR #24453, 2023-06-24",
    kind="empty set",
    expected_checks=("contract",),
)
@sf.target(order=["top_p"], returns="probs")
def top_p_zero_masks_everything(logits, top_p):
    """A p of 0 is accepted and removes the best token too, so the softmax of nothing is NaN."""
    require_logits(logits)
    require(0 <= top_p <= 1, f"top_p must be in [0, 1], got {top_p}")
    z = masked(logits, keep_top_p(logits, top_p))
    with np.errstate(invalid="ignore"):
        e = np.exp(z - z.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)


@defect(id="OT-07", source="gty111/gLLM PR #184 review, 2026-05-15", kind="empty set", expected_checks=("support",))
@sf.target(order=["top_p"], returns="logits")
def top_p_zero_keeps_nothing(logits, top_p):
    """A token goes when the mass before it is at least p, and at p = 0 that is so for the best one."""
    require_logits(logits)
    require(0 <= top_p <= 1, f"top_p must be in [0, 1], got {top_p}")
    order = descending(logits)
    removed = mass_before(np.take_along_axis(softmax(logits), order, -1)) >= top_p
    return masked(logits, keep_ranks(order, ~removed | (top_p == 1), logits))
