"""Defects of the inverse CDF: how the running sums are made and what a search in them returns."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import (
    draw_by_inversion,
    keep_top_k,
    masked,
    require,
    require_logits,
    require_temperature,
    require_uniforms,
    softmax,
    tempered,
)

_BLOCK = 4
_LEFT_IN_THE_REGISTER = 1061800448


def _probabilities(logits, temperature, top_k, u):
    """Return float32 probabilities [B, V] of checked input."""
    require_logits(logits)
    require_temperature(temperature)
    require_uniforms(u)
    z = tempered(logits, temperature)
    return softmax(masked(z, keep_top_k(z, top_k))).astype(np.float32)


@defect(id="FI-03", source="flashinfer-ai/flashinfer PR #923, 2025-03-09", kind="draw fallback", expected_checks=("uniforms", "support"))
@sf.target(order=["temperature", "top_k"], returns="tokens")
def last_id_when_the_mass_falls_short(logits, temperature, top_k, u):
    """When the float32 sum of the row does not exceed the uniform, the last id is returned whatever its probability."""
    cdf = np.cumsum(_probabilities(logits, temperature, top_k, u), -1, dtype=np.float32)
    found = [int(np.searchsorted(row, x, side="right")) for row, x in zip(cdf, np.asarray(u, np.float64))]
    return np.minimum(found, logits.shape[-1] - 1).astype(np.int32)


@defect(
    id="FI-01",
    source="flashinfer-ai/flashinfer issue #384, PRs #386 and #387, 2024-07-20",
    kind="id out of range",
    expected_checks=("support",),
)
@sf.target(order=["temperature", "top_k"], returns="tokens")
def nothing_found_leaves_the_register_unset(logits, temperature, top_k, u):
    """When no flag of the CDF search is set, which a float32 uniform of 1 is enough for, the id is what was left in the register."""
    cdf = np.cumsum(_probabilities(logits, temperature, top_k, u), -1, dtype=np.float32)
    flags = cdf > np.asarray(u, np.float32)[:, None]
    return np.where(flags.any(-1), flags.argmax(-1), _LEFT_IN_THE_REGISTER).astype(np.int32)


@defect(
    id="FI-02",
    source="flashinfer-ai/flashinfer PRs #225 and #226, 2024-04-29/30",
    kind="float association",
    expected_checks=("uniforms", "support"),
)
@sf.target(order=["temperature", "top_k"], returns="tokens")
def last_crossing_of_an_unsteady_sum_wins(logits, temperature, top_k, u):
    """Blocks are summed in another order than their totals, so a running sum can dip, and of several crossings of u the last one wins."""
    p = _probabilities(logits, temperature, top_k, u)
    blocks = _in_blocks(p)
    inside = np.cumsum(blocks, -1, dtype=np.float32)
    totals = (blocks[..., 0] + blocks[..., 2]) + (blocks[..., 1] + blocks[..., 3])
    carried = np.cumsum(totals, -1, dtype=np.float32) - totals
    cdf = (carried[..., None] + inside).reshape(len(p), -1)[:, : p.shape[-1]]
    wanted = np.asarray(u, np.float64)[:, None]
    crossing = (cdf > wanted) & (np.concatenate([np.zeros((len(p), 1)), cdf[:, :-1]], -1) <= wanted)
    last = p.shape[-1] - 1 - crossing[:, ::-1].argmax(-1)
    return np.where(crossing.any(-1), last, draw_by_inversion(p, u)).astype(np.int32)


def _in_blocks(p):
    """Return [B, blocks, 4], zeros after the end."""
    padding = -p.shape[-1] % _BLOCK
    return np.pad(p, ((0, 0), (0, padding))).reshape(len(p), -1, _BLOCK)


@defect(id="JX-03", source="jax-ml/jax issue #25498, 2024-12-16", kind="float sum", expected_checks=("uniforms", "support"))
@sf.target(order=["temperature", "top_k"], returns="tokens")
def uniform_is_scaled_by_another_sum(logits, temperature, top_k, u):
    """The uniform is scaled by a total that another order of addition gives, and can pass the running sum at its last token with mass."""
    p = _probabilities(logits, temperature, top_k, u)
    wanted = np.asarray(u, np.float64) * _pairwise(p)
    found = (np.cumsum(p, -1, dtype=np.float32) <= wanted[:, None]).sum(-1)
    return np.minimum(found, p.shape[-1] - 1).astype(np.int32)


def _pairwise(p):
    half = p.shape[-1] // 2
    return p[:, 0] if p.shape[-1] == 1 else _pairwise(p[:, :half]) + _pairwise(p[:, half:])


@defect(id="OT-08B", source="ROCm/aiter PR #2035, 2026-02-11", kind="prefix sum", expected_checks=("uniforms",))
@sf.target(order=["temperature"], returns="tokens")
def scan_carries_one_block_only(logits, temperature, u):
    """A block's running sum starts from the total of the block before it and forgets the earlier ones."""
    p = _probabilities(logits, temperature, 0, u)
    blocks = _in_blocks(p)
    totals = blocks.sum(-1)
    carried = np.concatenate([np.zeros((len(p), 1)), totals[:, :-1]], -1)
    cdf = (carried[..., None] + np.cumsum(blocks, -1)).reshape(len(p), -1)[:, : p.shape[-1]]
    exceeds = cdf > np.asarray(u, np.float64)[:, None]
    last = p.shape[-1] - 1 - (p[:, ::-1] > 0).argmax(-1)
    return np.where(exceeds.any(-1), exceeds.argmax(-1), last).astype(np.int32)


@defect(
    id="FI-11", source="flashinfer-ai/flashinfer issue #2402, PRs #2455 and #2456, 2026-03-13", kind="NaN", expected_checks=("support",)
)
@sf.target(order=["temperature"], returns="tokens")
def nan_leaves_the_last_valid_id_unset(logits, temperature, u):
    """Every comparison with NaN is false, so the last valid id of such a row keeps the value that the register held."""
    require(not np.isposinf(logits).any() and not np.isneginf(logits).all(-1).any(), "logits must not hold +inf or a row of -inf")
    poisoned = np.isnan(logits).any(-1)
    p = _probabilities(np.where(poisoned[:, None], 0, logits), temperature, 0, u)
    return np.where(poisoned, _LEFT_IN_THE_REGISTER, draw_by_inversion(p.astype(np.float64), u)).astype(np.int32)
