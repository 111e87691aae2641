"""Defects of memory layout: padding, flat indices and offsets that meet another row, a mask that slips."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import (
    draw_by_gumbel,
    generator,
    keep_top_k,
    masked,
    require,
    require_logits,
    require_temperature,
    tempered,
)

_WIDTH = 8


def _keep_top_k_of_each(logits, top_k):
    return np.concatenate([keep_top_k(logits[row : row + 1], k) for row, k in enumerate(top_k)])


@defect(id="FI-14", source="flashinfer-ai/flashinfer PR #2127, 2025-11-21", kind="integer width", expected_checks=("rows", "distribution"))
@sf.target(order=["top_k"], returns="logits")
def row_indices_are_read_as_int32(logits, top_k):
    """Row indices of 64 bits are read as 32 bits, so requests (a, b, c, d) read the rows (a, 0, b, 0)."""
    require_logits(logits)
    indices = np.arange(len(logits), dtype="<i8").view("<i4")[: len(logits)]
    z = logits[indices]
    return masked(z, keep_top_k(z, top_k))


@defect(id="VL-15", source="vllm-project/vllm, test_topk_topp_sampler", kind="integer overflow", expected_checks=("rows", "distribution"))
@sf.target(order=["top_k"], returns="logits")
def row_offset_overflows(logits, top_k):
    """The offset of a row in the flat batch is a small integer that wraps, so rows behind the wrap are read from its beginning."""
    require_logits(logits)
    vocabulary = logits.shape[-1]
    flat = np.concatenate([logits.ravel(), logits.ravel()])
    offsets = (np.arange(len(logits)) * vocabulary) & 0x7F
    z = np.stack([flat[at : at + vocabulary] for at in offsets])
    return masked(z, keep_top_k(z, top_k))


@defect(id="SJ-08", source="vllm-project/tpu-inference PR #2860, 2026-06-11", kind="padding", expected_checks=("rows", "support"))
@sf.target(order=["top_k"], returns="logits", per_row=True)
def parameters_are_padded_at_the_end(logits, top_k):
    """Rows lie in two shards, each padded to the same length, and top-k values in one run, padded at the end."""
    require_logits(logits)
    count = len(logits)
    first = max(1, count // 2)
    length = max(first, count - first)
    places = np.concatenate([np.arange(first), length + np.arange(count - first)])
    run = np.zeros(2 * length, np.int64)
    run[:count] = top_k
    return masked(logits, _keep_top_k_of_each(logits, run[places]))


@defect(
    id="SJ-09", source="vllm-project/tpu-inference PR #661, 2025-09-10", kind="mask of another row", expected_checks=("support", "rows")
)
@sf.target(order=["top_k"], returns="logits")
def masks_are_packed_and_read_by_row(logits, top_k):
    """Masks are packed for the rows that have one and read by the number of the row, so a row without a mask shifts the following ones."""
    require_logits(logits)
    forbidden = np.isneginf(logits)
    packed = np.zeros_like(forbidden)
    has_mask = forbidden.any(-1)
    packed[: has_mask.sum()] = forbidden[has_mask]
    # what the model gave a forbidden token is not known here; the mean of the others stands for it
    unmasked = np.where(forbidden, np.nanmean(np.where(forbidden, np.nan, logits), -1, keepdims=True, dtype=np.float64), logits)
    z = masked(unmasked, ~(packed & has_mask[:, None]))
    return masked(z, keep_top_k(z, top_k))


@defect(
    id="VL-13", source="vllm-project/vllm, test_logit_bias_oob (GHSA-wr27-mx79-rg6c)", kind="flat index", expected_checks=("distribution",)
)
@sf.target(order=["logit_bias"], returns="logits", per_row=True)
def bias_outside_the_vocabulary_reaches_the_next_row(logits, logit_bias):
    """Biases are added at row · V + id of the flat batch with no check that id < V, so id V is token 0 of the next request."""
    require_logits(logits)
    vocabulary = logits.shape[-1]
    flat = logits.astype(np.float64).ravel()
    for row, bias in enumerate(logit_bias):
        require(all(token >= 0 and np.isfinite(b) for token, b in bias.items()), "a bias must be finite and its id must not be negative")
        for token, addend in bias.items():
            if row * vocabulary + token < flat.size:
                flat[row * vocabulary + token] += addend
    return flat.reshape(logits.shape)


@defect(id="VL-14", source="vllm-project/vllm, test_penalty_bincount_oob", kind="flat index", expected_checks=("distribution",))
@sf.target(order=["presence_penalty"], returns="logits")
def history_outside_the_vocabulary_reaches_the_next_row(logits, history, presence_penalty):
    """Seen tokens are marked at row · V + id of the flat batch with no check that id < V, so a placeholder V is token 0 of the next row."""
    require_logits(logits)
    require(-100 <= presence_penalty <= 100, f"presence_penalty must be in [-100, 100], got {presence_penalty}")
    require(len(history) == len(logits), f"{len(history)} histories for {len(logits)} rows of logits")
    seen = np.zeros(logits.size, bool)
    for row, ids in enumerate(history):
        require((ids >= 0).all(), "a history id is negative")
        flat = row * logits.shape[-1] + ids
        seen[flat[flat < seen.size]] = True
    return logits.astype(np.float64) - presence_penalty * seen.reshape(logits.shape)


@defect(id="EX-04", source="turboderp-org/exllamav2 commit b495a4e, 2023-11-29", kind="padded vocabulary", expected_checks=("support",))
@sf.target(order=["temperature"], returns="tokens")
def padding_columns_are_not_masked(logits, temperature, seed):
    """The head is as wide as the next multiple of 8, and its columns behind the vocabulary are 0 and can be drawn."""
    require_logits(logits)
    require_temperature(temperature)
    head = np.pad(logits, ((0, 0), (0, -logits.shape[-1] % _WIDTH)))
    return draw_by_gumbel(tempered(head, temperature), generator(seed))


@defect(id="TR-07", source="RBLN-SW/vllm-rbln PR #615, 2026-05-19", kind="padding", expected_checks=("support",))
@sf.target(order=["temperature"], returns="tokens")
def greedy_padding_row_gives_the_vocabulary_size(logits, temperature, seed):
    """Padding rows have temperature 0 and whatever logits: greedy does not check them, and a NaN row gives the id V."""
    require_temperature(temperature)
    if temperature > 0:
        require_logits(logits)
        return draw_by_gumbel(tempered(logits, temperature), generator(seed))
    require(not np.isposinf(logits).any() and not np.isneginf(logits).all(-1).any(), "logits must not hold +inf or a row of -inf")
    is_best = logits == logits.max(-1, keepdims=True)
    return np.where(is_best.any(-1), is_best.argmax(-1), logits.shape[-1]).astype(np.int32)
