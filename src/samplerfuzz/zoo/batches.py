"""Defects that need two rows: a parameter, an order, a history or a result taken from another row."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import (
    descending,
    draw_by_gumbel,
    generator,
    is_off,
    keep_ranks,
    keep_top_k,
    keep_top_p,
    masked,
    mass_before,
    one_hot,
    penalise_repetition,
    require,
    require_history,
    require_logits,
    require_repetition_penalty,
    require_temperature,
    require_top_p,
    scaled,
    softmax,
    tempered,
)


@defect(id="MLX-05", source="ml-explore/mlx-examples PR #610, 2024-03-26", kind="batch mixing", expected_checks=("rows", "support"))
@sf.target(order=["top_p"], returns="logits")
def top_p_uses_the_first_rows_order(logits, top_p):
    """Every row is put in the sort order of row 0 before its running mass is taken."""
    require_logits(logits)
    require_top_p(top_p)
    order = np.repeat(descending(logits)[:1], len(logits), 0)
    ranked = np.take_along_axis(softmax(logits), order, -1)
    return masked(logits, keep_ranks(order, (mass_before(ranked) < top_p) | (top_p == 1), logits))


@defect(id="VL-02", source="vllm-project/vllm issue #1179, 2023-09-26", kind="batch mixing", expected_checks=("rows", "support"))
@sf.target(order=["temperature", "top_k"], returns="tokens", per_row=True)
def parameters_stay_in_request_order(logits, temperature, top_k, seed):
    """Rows are regrouped, greedy ones first, and temperatures and top-k are not."""
    require_logits(logits)
    require_temperature(temperature)
    grouped = np.argsort(np.asarray(temperature) > 0, kind="stable")
    out = np.empty(len(logits), np.int32)
    for position, row in enumerate(grouped):
        z, t, k = logits[row : row + 1], float(temperature[position]), int(top_k[position])
        order = descending(z)[0]
        kept = order if is_off(k, len(order)) else order[:k]
        noise = generator(seed[row])
        out[row] = order[0] if t == 0 else kept[draw_by_gumbel(tempered(z, t)[:, kept], noise)[0]]
    return out


@defect(
    id="EX-05", source="turboderp-org/exllamav2 commit 45d0ddd, 2024-01-02", kind="batch mixing", expected_checks=("rows", "distribution")
)
@sf.target(order=["repetition_penalty"], returns="logits")
def every_row_is_penalised_for_the_first_history(logits, history, repetition_penalty):
    """The history of row 0 decides which tokens of every row are penalised."""
    require_logits(logits)
    require_repetition_penalty(repetition_penalty)
    rows = require_history(history, logits)
    return np.stack([penalise_repetition(row, rows[0], repetition_penalty) for row in logits])


@defect(id="OLD-07", source="keras-team/keras-hub PR #952 review, 2023-04-01", kind="batch mixing", expected_checks=("rows", "support"))
@sf.target(order=["temperature"], returns="tokens")
def every_row_gets_the_first_rows_token(logits, temperature, seed):
    """The draw of the whole batch is indexed with 0 and handed to every row."""
    require_logits(logits)
    require_temperature(temperature)
    tokens = draw_by_gumbel(tempered(logits, temperature), generator(seed))
    return np.full(len(logits), tokens[0], np.int32)


@defect(id="MLX-04", source="ml-explore/mlx-examples PR #602, 2024-03-22", kind="wrong axis", expected_checks=("rows", "support"))
@sf.target(order=["top_p"], returns="logits")
def sort_is_reversed_along_the_batch(logits, top_p):
    """The ascending sort is reversed along the rows instead of the tokens, so each row gets the distribution of its mirror row."""
    require_logits(logits)
    require_top_p(top_p)
    order = np.argsort(logits, -1, kind="stable")[::-1]
    p = softmax(logits)[::-1]
    ranked = np.take_along_axis(logits[::-1].astype(np.float64), order, -1)
    kept = (np.cumsum(np.take_along_axis(p, order, -1), -1) > 1 - top_p) | (top_p == 1)
    out = np.empty_like(ranked)
    np.put_along_axis(out, order, np.where(kept, ranked, -np.inf), -1)
    return out


@defect(id="OT-09", source="Blaizzy/mlx-vlm PR #1094, 2026-04-30", kind="batch mixing", expected_checks=("rows", "support"))
@sf.target(order=["top_p"], returns="logits")
def top_p_goes_back_through_another_rows_order(logits, top_p):
    """Each row is sorted and cut rightly, and mapped back to ids through the order of the row before it."""
    require_logits(logits)
    require_top_p(top_p)
    order = descending(logits)
    ranked = np.take_along_axis(masked(logits, keep_top_p(logits, top_p)), order, -1)
    out = np.empty_like(ranked)
    np.put_along_axis(out, np.roll(order, 1, 0), ranked, -1)
    return out


@defect(id="SG-04", source="sgl-project/sglang PR #23296, 2026-04-20", kind="zero temperature", expected_checks=("contract", "rows"))
@sf.target(order=["temperature"], returns="probs", per_row=True)
def greedy_is_seen_for_whole_batches_only(logits, temperature):
    """Temperature 0 is greedy when every row has it; beside a random row it divides, and the greedy row is NaN."""
    require_logits(logits)
    require_temperature(temperature)
    if (temperature == 0).all():
        return one_hot(logits.argmax(-1), logits.shape[-1])
    if (temperature > 0).all():
        return softmax(scaled(logits, temperature))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.maximum(logits.astype(np.float64) / temperature[:, None], np.where(np.isneginf(logits), -np.inf, -1e300))
        e = np.exp(z - z.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)


@defect(id="VL-03", source="vllm-project/vllm PR #5639, 2024-06-18", kind="batch mixing", expected_checks=("distribution", "rows"))
@sf.target(order=["repetition_penalty"], returns="logits", per_row=True)
def histories_begin_with_the_first_penalty(logits, history, repetition_penalty):
    """Histories are collected from the first row with a penalty on, so behind a row without one each row reads that of a later row."""
    require_logits(logits)
    for penalty in repetition_penalty:
        require_repetition_penalty(penalty)
    rows = require_history(history, logits)
    first = int((np.asarray(repetition_penalty) != 1).argmax())
    collected = [*rows[first:], *[np.zeros(0, np.int64)] * first]
    return np.stack([penalise_repetition(row, ids, r) for row, ids, r in zip(logits, collected, repetition_penalty)])


@defect(id="VL-04B", source="vllm-project/vllm issue #5404, 2024-06", kind="sentinel", expected_checks=("rows", "support"))
@sf.target(order=["top_k"], returns="logits", per_row=True)
def top_k_of_one_is_read_as_off(logits, top_k):
    """In a batch the first row that asks for the best token alone is read as −1 and keeps everything."""
    require_logits(logits)
    k = np.array(top_k)
    if len(k) > 1 and (k == 1).any():
        k[(k == 1).argmax()] = -1
    return masked(logits, np.concatenate([keep_top_k(logits[row : row + 1], k[row]) for row in range(len(k))]))


@defect(id="OLD-04B", source="lucidrains/x-transformers issue #184, 2023-09-20", kind="wrong axis", expected_checks=("rows", "support"))
@sf.target(order=["top_a"], returns="logits")
def top_a_takes_the_maximum_of_the_batch(logits, top_a):
    """The limit of top-a is made from the largest probability of the whole batch, so a peaked row empties its neighbours."""
    require_logits(logits)
    require(0 <= top_a <= 1, f"top_a must be in [0, 1], got {top_a}")
    p = softmax(logits)
    best = np.arange(logits.shape[-1]) == logits.argmax(-1)[:, None]
    return masked(logits, ((p >= top_a * p.max() ** 2) | best) & ~np.isneginf(logits))
