"""Defects that need two rows: a parameter, an order, a history or a result taken from another row."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import (
    descending,
    draw_by_gumbel,
    is_off,
    keep_ranks,
    masked,
    penalise_repetition,
    require_history,
    require_logits,
    require_repetition_penalty,
    require_temperature,
    require_top_p,
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
    before = np.concatenate([np.zeros((len(ranked), 1)), np.cumsum(ranked, -1)[:, :-1]], -1)
    return masked(logits, keep_ranks(order, (before < top_p) | (top_p == 1), logits))


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
        noise = np.random.default_rng(int(seed[row]) % 2**64)
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
    tokens = draw_by_gumbel(tempered(logits, temperature), np.random.default_rng(int(seed) % 2**64))
    return np.full(len(logits), tokens[0], np.int32)
