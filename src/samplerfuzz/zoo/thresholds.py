"""Defects of top-k by search: a threshold, a histogram, candidates from shards or buckets instead of a sort."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import descending, is_off, keep_ranks, keep_top_k, masked, require_logits, softmax

_CANDIDATES = 4
_BUCKETS = 4
_DIGIT_BITS, _KEY_BITS = 8, 32


@defect(
    id="FI-10",
    source="flashinfer-ai/flashinfer PR #774, 2025-02-01; PR #3623, 2026-06-23",
    kind="hang",
    expected_checks=("contract",),
)
@sf.target(order=["top_k"], returns="logits")
def bisection_waits_for_equal_bounds(logits, top_k):
    """Bisection ends when one probability is left between its bounds; halving rounds down and never separates two that are one ulp apart."""
    require_logits(logits)
    if is_off(top_k, logits.shape[-1]):
        return masked(logits, ~np.isneginf(logits))
    keep = np.zeros(logits.shape, bool)
    for p, kept in zip(softmax(logits).astype(np.float32), keep):
        low, high = np.float32(-1), p.max()
        while p[p > low].min() != p[p <= high].max():
            middle = _halved_with_loss(low, high)
            if (p > middle).sum() >= top_k:
                low = middle
            else:
                high = p[p <= middle].max()
        kept[:] = p >= high
    return masked(logits, keep & ~np.isneginf(logits))


def _halved_with_loss(low, high):
    return np.nextafter((low + high) / np.float32(2), np.float32(-np.inf))


@defect(id="FI-15", source="flashinfer-ai/flashinfer PR #2325, 2026-01-13", kind="state between rows", expected_checks=("rows", "support"))
@sf.target(order=["top_k"], returns="logits", per_row=True)
def histogram_of_an_earlier_row_is_left(logits, top_k):
    """Two histograms take turns, and each row clears the next one's; a row with nothing to filter leaves early and does not."""
    require_logits(logits)
    histograms = np.zeros((2, _KEY_BITS // _DIGIT_BITS, 1 << _DIGIT_BITS), np.int64)
    keep = ~np.isneginf(logits)
    for row, k in enumerate(top_k):
        if is_off(k, logits.shape[-1]):
            continue
        keep[row] &= _keys(logits[row]) >= _radix_threshold(_keys(logits[row]), int(k), histograms[row % 2])
        histograms[(row + 1) % 2] = 0
    return masked(logits, keep)


def _keys(row):
    """Return unsigned integers in the order of the floats."""
    bits = (row.astype(np.float32) + np.float32(0)).view(np.uint32).astype(np.int64)
    return np.where(bits >> 31, (1 << _KEY_BITS) - 1 - bits, bits + (1 << (_KEY_BITS - 1)))


def _radix_threshold(keys, k, histogram):
    """Return the k-th largest key, digit after digit, from counts that are added to `histogram`."""
    prefix = 0
    for level, counts in enumerate(histogram):
        shift = _KEY_BITS - _DIGIT_BITS * (level + 1)
        alike = keys[keys >> (shift + _DIGIT_BITS) == prefix]
        counts += np.bincount(alike >> shift & (len(counts) - 1), minlength=len(counts))
        above = np.cumsum(counts[::-1])
        digit = len(counts) - 1 - int((above >= k).argmax())
        k -= int(above[len(counts) - 1 - digit] - counts[digit])
        prefix = prefix << _DIGIT_BITS | digit
    return prefix


@defect(id="FI-16", source="flashinfer-ai/flashinfer PR #2605, 2026-02-25", kind="capacity", expected_checks=("support",))
@sf.target(order=["top_k"], returns="logits")
def buffer_of_tied_candidates_overflows(logits, top_k):
    """Tokens that tie with the k-th largest go through a buffer of fixed size, and what does not fit is dropped without a word."""
    require_logits(logits)
    if is_off(top_k, logits.shape[-1]):
        return masked(logits, ~np.isneginf(logits))
    kth = np.take_along_axis(logits, descending(logits), -1)[:, int(top_k) - 1, None]
    tied = logits == kth
    wanted = np.minimum(top_k - (logits > kth).sum(-1, keepdims=True), _CANDIDATES)
    return masked(logits, ((logits > kth) | (tied & (np.cumsum(tied, -1) <= wanted))) & ~np.isneginf(logits))


@defect(id="AN-01", source="Anthropic, engineering post-mortem of 2025-09-17", kind="mixed precision", expected_checks=("support",))
@sf.target(order=["top_k"], returns="logits")
def shards_are_merged_in_bfloat16(logits, top_k):
    """Two shards rank in float32 and their merge compares in bfloat16, so a lead below its resolution is lost to the other shard."""
    require_logits(logits)
    if is_off(top_k, logits.shape[-1]):
        return masked(logits, ~np.isneginf(logits))
    half = (logits.shape[-1] + 1) // 2
    within = np.concatenate([descending(logits[:, :half]), half + descending(logits[:, half:])], -1)
    coarse = _bfloat16(np.take_along_axis(logits, within, -1))
    order = np.take_along_axis(within, descending(coarse), -1)
    return masked(logits, keep_ranks(order, np.broadcast_to(np.arange(logits.shape[-1]) < top_k, logits.shape), logits))


def _bfloat16(values):
    """Return float32 values cut to 8 bits of precision."""
    return (values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


@defect(id="AN-01B", source="Anthropic, engineering post-mortem of 2025-09-17", kind="approximate operator", expected_checks=("support",))
@sf.target(order=["top_k"], returns="logits")
def top_k_is_approximate(logits, top_k):
    """The vocabulary is dealt into buckets that put forward their best k/2 tokens each, so large ones that share a bucket are lost."""
    require_logits(logits)
    vocabulary = logits.shape[-1]
    if is_off(top_k, vocabulary):
        return masked(logits, ~np.isneginf(logits))
    put_forward = np.full(logits.shape, -np.inf)
    for first in range(min(_BUCKETS, vocabulary)):
        bucket = logits[:, first::_BUCKETS]
        put_forward[:, first::_BUCKETS] = masked(bucket, keep_top_k(bucket, -(-int(top_k) // 2)))
    return masked(logits, keep_top_k(put_forward, top_k))
