"""Defects around −inf: a removed token that comes back, a NaN, a search that never ends, a search that misses."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import (
    distribution,
    draw_by_gumbel,
    generator,
    is_off,
    keep_top_k,
    masked,
    one_hot,
    require,
    require_logits,
    require_temperature,
    scaled,
    softmax,
    tempered,
)

_BLOCK = 4
_NO_CANDIDATE = -1


@defect(id="OT-04", source="karpathy/minGPT issue #10, 2020-08-18", kind="mask value", expected_checks=("support", "metamorphic"))
@sf.target(order=["top_k"], returns="logits")
def removed_logits_become_nearly_zero(logits, top_k):
    """Logits outside the top k are set to 1e-10 instead of −1e10, so they keep weight and can beat the kept ones."""
    require_logits(logits)
    return np.where(keep_top_k(logits, top_k) | is_off(top_k, logits.shape[-1]), logits.astype(np.float64), 1e-10)


@defect(id="FI-09", source="flashinfer-ai/flashinfer PR #1050, 2025-05-09", kind="hang", expected_checks=("contract",))
@sf.target(order=["top_k"], returns="logits")
def top_k_search_never_ends(logits, top_k):
    """The threshold of top-k is found by bisection from the smallest logit; from −inf the middle is −inf for ever."""
    require_logits(logits)
    if is_off(top_k, logits.shape[-1]):
        return masked(logits, ~np.isneginf(logits))
    z = logits.astype(np.float64)
    out = np.empty_like(z)
    for row, kept in zip(z, out):
        low, high = row.min(), np.nextafter(row.max(), np.inf)
        while np.nextafter(low, high) < high:
            middle = (low + high) / 2
            if (row >= middle).sum() >= top_k:
                low = middle
            else:
                high = middle
        kept[:] = np.where(row >= low, row, -np.inf)
    return out


@defect(id="FI-08", source="flashinfer-ai/flashinfer PR #1178, 2025-06-26", kind="NaN", expected_checks=("contract",))
@sf.target(order=["temperature"], returns="probs", zero_temperature="reject")
def masked_block_poisons_the_softmax(logits, temperature):
    """The softmax runs over blocks, and a block that is all −∞ subtracts its maximum −∞ from −∞: the NaN spreads over the row."""
    require_logits(logits)
    require(np.isfinite(temperature) and temperature > 0, f"temperature must be finite and > 0, got {temperature}")
    z = scaled(logits, temperature)
    total = np.zeros((len(z), 1))
    for first in range(0, z.shape[-1], _BLOCK):
        block = z[:, first : first + _BLOCK]
        peak = block.max(-1, keepdims=True)
        with np.errstate(invalid="ignore"):
            total += np.exp(block - peak).sum(-1, keepdims=True) * np.exp(peak)
    return np.exp(z) / total


@defect(id="EX-06B", source="turboderp-org/exllamav2 commit 3ad7a04, 2023-10-29", kind="off by one", expected_checks=("support",))
@sf.target(order=["temperature"], returns="tokens")
def greedy_search_begins_at_one(logits, temperature, seed):
    """The search for the best allowed token has no candidate to begin with and starts at id 1, so id 0 is never returned."""
    require_logits(logits)
    require_temperature(temperature)
    if temperature > 0:
        return draw_by_gumbel(tempered(logits, temperature), generator(seed))
    rest = logits[:, 1:]
    found = rest.argmax(-1) + 1 if rest.shape[-1] else np.zeros(len(logits))
    return np.where(np.isneginf(rest).all(-1), _NO_CANDIDATE, found).astype(np.int32)


@defect(id="JX-07", source="synnada-ai/mithril PR #177, 2025-02-01", kind="mask value", expected_checks=("support", "distribution"))
@sf.target(order=["top_k", "temperature"], returns="logits", zero_temperature="reject")
def removed_tokens_keep_a_tiny_probability(logits, top_k, temperature):
    """Probabilities are raised to 1e-37 before the logarithm, so removed and masked tokens can still be drawn."""
    require_logits(logits)
    require(np.isfinite(temperature) and temperature > 0, f"temperature must be finite and > 0, got {temperature}")
    p = softmax(masked(logits, keep_top_k(logits, top_k)))
    return scaled(np.log(np.maximum(p, 1e-37)), temperature)


@defect(id="VL-05", source="vllm-project/vllm issue #22180, 2025-08-04", kind="sentinel", expected_checks=("rows", "support"))
@sf.target(order=["temperature"], returns="probs", per_row=True)
def greedy_sentinel_flips_the_mask(logits, temperature):
    """Greedy rows of a mixed batch are divided by −1, which turns −inf into +inf and the row into NaN."""
    require_logits(logits)
    require_temperature(temperature)
    t = np.asarray(temperature, np.float64)
    greedy = one_hot(logits.argmax(-1), logits.shape[-1])
    if (t == 0).all():
        return greedy
    if (t > 0).all():
        return softmax(scaled(logits, t))
    z = scaled(logits, 1.0)
    with np.errstate(invalid="ignore", over="ignore"):
        z = np.maximum(z / np.where(t == 0, -1.0, t)[:, None], np.where(np.isneginf(z), -np.inf, -1e300))
        e = np.exp(z - z.max(-1, keepdims=True))
        p = e / e.sum(-1, keepdims=True)
    is_greedy = (t == 0)[:, None].astype(np.float64)
    return is_greedy * greedy + (1 - is_greedy) * p


@defect(id="EX-06", source="turboderp-org/exllamav2 commit 3ad7a04, 2023-10-29", kind="mask ignored", expected_checks=("support",))
@sf.target(order=["allowed_tokens", "temperature"], returns="probs")
def greedy_ignores_the_allowed_tokens(logits, allowed_tokens, temperature):
    """At temperature 0 the arg-max is taken over the values from before the mask."""
    require_logits(logits)
    require_temperature(temperature)
    vocabulary = logits.shape[-1]
    require(
        all(0 <= token < vocabulary for token in allowed_tokens), f"allowed_tokens must be ids in [0, {vocabulary}), got {allowed_tokens}"
    )
    z = masked(logits, np.isin(np.arange(vocabulary), allowed_tokens))
    require(not np.isneginf(z).all(-1).any(), "allowed_tokens leave a row without a token")
    return distribution(logits if temperature == 0 else z, temperature)
