"""Defects of a single filter, top-p aside: the boundary, the sentinel, the default, the values of what stays."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import (
    descending,
    is_off,
    keep_min_p,
    keep_ranks,
    keep_top_k,
    keep_xtc,
    masked,
    require,
    require_logits,
    require_min_p,
    require_temperature,
    scaled,
    softmax,
    tempered,
)


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


@defect(id="MLX-07", source="ml-explore/mlx-lm PR #1377, 2026-06-09", kind="validation", expected_checks=("contract", "metamorphic"))
@sf.target(order=["top_k"], returns="logits")
def top_k_of_the_whole_vocabulary_is_refused(logits, top_k):
    """A top-k equal to the vocabulary, which filters nothing, is refused."""
    require_logits(logits)
    vocabulary = logits.shape[-1]
    require(top_k <= 0 or not is_off(top_k, vocabulary), f"top_k must be in (0, {vocabulary}], got {top_k}")
    return masked(logits, keep_top_k(logits, top_k))


@defect(id="LC-03", source="ggml-org/llama.cpp PR #5388, 2024-02-07", kind="sentinel", expected_checks=("support", "metamorphic"))
@sf.target(order=["top_k"], returns="logits")
def top_k_off_is_raised_to_the_least_count(logits, top_k):
    """A top-k of 0 or below, which means "off", is raised to the least number of tokens to keep, so only the best one stays."""
    require_logits(logits)
    return masked(logits, keep_top_k(logits, max(top_k, 1)))


@defect(id="MLX-03", source="ml-explore/mlx-lm PR #1372, 2026-07-21", kind="bad default", expected_checks=("support",))
@sf.target(order=["xtc"], returns="logits")
def xtc_threshold_defaults_to_zero(logits, xtc_threshold):
    """An unset threshold (1, which removes nothing) becomes 0, so every token is a top choice and all but the least probable go."""
    require_logits(logits)
    require(0 < xtc_threshold <= 1, f"xtc_threshold must be in (0, 1], got {xtc_threshold}")
    return masked(logits, keep_xtc(logits, 0.0 if xtc_threshold == 1 else xtc_threshold))


@defect(
    id="OLD-04C",
    source="lucidrains/x-transformers issue #184, 2023-09-20",
    kind="overwritten values",
    expected_checks=("distribution",),
)
@sf.target(order=["top_k"], returns="logits")
def kept_logits_are_set_to_one(logits, top_k):
    """The mask of top-k replaces the logits that stay, so the draw is uniform over them."""
    require_logits(logits)
    if is_off(top_k, logits.shape[-1]):
        return masked(logits, ~np.isneginf(logits))
    return np.where(keep_top_k(logits, top_k), 1.0, -np.inf)


@defect(id="OLD-09", source="state-spaces/mamba PR #513, 2024-08-03", kind="batch of one", expected_checks=("contract",))
@sf.target(order=["min_p"], returns="logits")
def min_p_takes_one_row(logits, min_p):
    """The largest probability is taken out as a scalar, which raises for two rows."""
    require_logits(logits)
    require_min_p(min_p)
    floor = scaled(logits, 1.0).max(-1).item() + np.log(min_p) if min_p > 0 else -np.inf
    return masked(logits, (scaled(logits, 1.0) >= floor) & ~np.isneginf(logits))


@defect(
    id="HF-05",
    source="huggingface/transformers PR #47262 and #46643, 2026-06/07",
    kind="parameter ignored",
    expected_checks=("support",),
)
@sf.target(order=["top_k", "min_p"], returns="logits")
def one_filter_ignores_the_least_count(logits, top_k, min_p, min_tokens_to_keep):
    """Top-k leaves at least as many tokens as asked for, and min-p behind it does not."""
    require_logits(logits)
    require_min_p(min_p)
    least = int(min_tokens_to_keep)
    require(least == min_tokens_to_keep >= 1, f"min_tokens_to_keep must be a whole number >= 1, got {min_tokens_to_keep}")
    vocabulary = logits.shape[-1]
    kept = keep_top_k(logits, 0 if is_off(top_k, vocabulary) else max(top_k, least))
    return masked(logits, kept & keep_min_p(logits, min_p))


@defect(id="VL-06", source="vllm-project/vllm PR #15478, 2025-03-26/30", kind="ties", expected_checks=("support",))
@sf.target(order=["top_k"], returns="logits", dialect="sglang")
def top_k_by_threshold_keeps_ties(logits, top_k):
    """Tokens below the k-th largest logit go, so all that tie with it stay, where this engine's contract is to keep k."""
    require_logits(logits)
    k = int(top_k)
    require(k == -1 or k >= 1, f"top_k must be -1 or at least 1, got {top_k}")
    if is_off(k, logits.shape[-1]):
        return masked(logits, ~np.isneginf(logits))
    kth = np.take_along_axis(logits, descending(logits), -1)[:, k - 1, None]
    return masked(logits, (logits >= kth) & ~np.isneginf(logits))


@defect(id="VL-04", source="vllm-project/vllm issue #5404, 2024-06", kind="ties", expected_checks=("support",))
@sf.target(order=["temperature", "top_k"], returns="probs", dialect="sglang")
def top_k_of_one_draws_among_ties(logits, temperature, top_k):
    """With k = 1, which is this engine's greedy, all tokens that tie at the maximum stay and the draw chooses among them."""
    require_logits(logits)
    require_temperature(temperature)
    k = int(top_k)
    require(k == -1 or k >= 1, f"top_k must be -1 or at least 1, got {top_k}")
    z = tempered(logits, temperature)
    return softmax(masked(z, z == z.max(-1, keepdims=True)) if k == 1 else masked(z, keep_top_k(z, k)))
