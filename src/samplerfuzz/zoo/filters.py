"""Defects of a single filter: the boundary, the sentinel, the direction, the way back from sorted order."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import (
    descending,
    distribution,
    is_off,
    keep_ranks,
    keep_top_k,
    masked,
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


@defect(
    id="OLD-01",
    source="kingoflolz/mesh-transformer-jax issue #164, 2021-12-02",
    kind="off by one",
    expected_checks=("support", "metamorphic"),
)
@sf.target(order=["top_k"], returns="logits")
def top_k_keeps_one_more(logits, top_k):
    """Top-k removes what ranks above k counted from zero, so k+1 tokens stay."""
    require_logits(logits)
    vocabulary = logits.shape[-1]
    k = vocabulary if is_off(top_k, vocabulary) else int(top_k)
    ranks = np.broadcast_to(np.arange(vocabulary), logits.shape)
    return masked(logits, keep_ranks(descending(logits), ~(ranks > k), logits))


@defect(id="SJ-06", source="vllm-project/tpu-inference PR #1460, 2026-01-16", kind="sentinel", expected_checks=("support", "metamorphic"))
@sf.target(order=["temperature", "top_k"], returns="probs")
def top_k_off_is_greedy(logits, temperature, top_k):
    """A top-k of 0, −1 or at least the vocabulary, which all mean "off", becomes 1."""
    require_logits(logits)
    require_temperature(temperature)
    vocabulary = logits.shape[-1]
    k = 1 if is_off(top_k, vocabulary) else int(top_k)
    z = tempered(logits, temperature)
    ranks = np.broadcast_to(np.arange(vocabulary), z.shape)
    return softmax(masked(z, keep_ranks(descending(z), ranks < k, z)))


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
    before = np.concatenate([np.zeros((len(p), 1)), np.cumsum(p, -1)[:, :-1]], -1)
    return masked(logits, (before < top_p) | (top_p == 1))


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
    before = np.concatenate([np.zeros((len(p), 1)), np.cumsum(ranked, -1)[:, :-1]], -1)
    ranked = np.where((before < top_p) | (top_p == 1), ranked, 0)
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


@defect(id="MLX-07", source="ml-explore/mlx-lm PR #1377, 2026-06-09", kind="validation", expected_checks=("contract", "metamorphic"))
@sf.target(order=["top_k"], returns="logits")
def top_k_of_the_whole_vocabulary_is_refused(logits, top_k):
    """A top-k equal to the vocabulary, which filters nothing, is refused."""
    require_logits(logits)
    vocabulary = logits.shape[-1]
    require(top_k <= 0 or not is_off(top_k, vocabulary), f"top_k must be in (0, {vocabulary}], got {top_k}")
    return masked(logits, keep_top_k(logits, top_k))
