"""Defects of penalties and biases: the sign, the token that is hit, the window, the number of times, whether they come at all."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import (
    descending,
    distribution,
    keep_top_k,
    masked,
    penalise_repetition,
    require,
    require_history,
    require_logits,
    require_repetition_penalty,
    require_temperature,
)

_HEAD_WIDTH = 4


@defect(id="PN-01", source="huggingface/transformers PR #2303, 2019-12-24", kind="penalty sign", expected_checks=("distribution",))
@sf.target(order=["repetition_penalty"], returns="logits")
def penalty_divides_negative_logits(logits, history, repetition_penalty):
    """Seen tokens with a negative logit are divided too, so the penalty makes them more likely."""
    require_logits(logits)
    require_repetition_penalty(repetition_penalty)
    out = logits.astype(np.float64)
    for row, ids in zip(out, require_history(history, logits)):
        row[np.unique(ids)] /= repetition_penalty
    return out


@defect(id="PN-03", source="sgl-project/sglang-omni PR #2005, 2026-09-07", kind="double application", expected_checks=("distribution",))
@sf.target(order=["repetition_penalty"], returns="logits")
def penalty_is_applied_twice(logits, history, repetition_penalty):
    """Two layers apply the same penalty, so it counts squared."""
    require_logits(logits)
    require_repetition_penalty(repetition_penalty)
    rows = zip(logits, require_history(history, logits))
    return np.stack([penalise_repetition(penalise_repetition(row, ids, repetition_penalty), ids, repetition_penalty) for row, ids in rows])


@defect(
    id="KC-01", source="LostRuins/koboldcpp issue #1078, 2024-08-20", kind="stale order", expected_checks=("distribution", "metamorphic")
)
@sf.target(order=["top_k", "presence_penalty"], returns="logits")
def penalty_hits_the_candidate_at_the_rank(logits, history, top_k, presence_penalty):
    """The candidates have been sorted, and the penalty is written at the token id instead of at the token's rank."""
    require_logits(logits)
    require(-100 <= presence_penalty <= 100, f"presence_penalty must be in [-100, 100], got {presence_penalty}")
    order = descending(logits)
    candidates = np.take_along_axis(masked(logits, keep_top_k(logits, top_k)), order, -1)
    for row, ids in zip(candidates, require_history(history, logits)):
        row[np.unique(ids)] -= presence_penalty
    out = np.empty_like(candidates)
    np.put_along_axis(out, order, candidates, -1)
    return out


@defect(id="OT-10", source="abetlen/llama-cpp-python PR #1295, 2024-03-21", kind="window", expected_checks=("distribution",))
@sf.target(order=["repetition_penalty"], returns="logits")
def window_holds_the_first_tokens(logits, history, repetition_penalty, penalty_last_n):
    """The window of n tokens is read from the beginning of the history instead of from its end."""
    require_logits(logits)
    require_repetition_penalty(repetition_penalty)
    require(penalty_last_n >= -1, f"penalty_last_n must be >= -1, got {penalty_last_n}")
    rows = zip(logits, require_history(history, logits))
    return np.stack(
        [penalise_repetition(row, ids if penalty_last_n < 0 else ids[: int(penalty_last_n)], repetition_penalty) for row, ids in rows]
    )


@defect(id="OT-02B", source="llama-farm/llamafarm PR #818, 2026-04-16", kind="parameter ignored", expected_checks=("distribution",))
@sf.target(order=["repetition_penalty"], returns="logits")
def penalty_is_not_wired(logits, history, repetition_penalty):
    """The penalty is accepted and goes nowhere."""
    require_logits(logits)
    require_repetition_penalty(repetition_penalty)
    require_history(history, logits)
    return logits.astype(np.float64)


@defect(id="LC-10", source="AshkanYarmoradi/go-llama.cpp PR #181, 2026-07-26", kind="parameter ignored", expected_checks=("distribution",))
@sf.target(order=["logit_bias"], returns="logits")
def bias_is_parsed_and_dropped(logits, logit_bias):
    """The biases are read and never added to the chain."""
    require_logits(logits)
    outside = [token for token in logit_bias if not 0 <= token < logits.shape[-1]]
    require(not outside, f"bias for token {outside[:1]} outside the vocabulary of {logits.shape[-1]}")
    return logits.astype(np.float64)


@defect(id="VL-10", source="vllm-project/vllm-ascend issue #7769, 2026-03-28", kind="stale history", expected_checks=("distribution",))
@sf.target(order=["repetition_penalty"], returns="logits")
def generated_tokens_never_reach_the_penalty(logits, prompt, output, repetition_penalty):
    """The output holds placeholders while the next step is prepared, so the penalty sees the prompt only."""
    require_logits(logits)
    require_repetition_penalty(repetition_penalty)
    require_history(output, logits)
    rows = zip(logits, require_history(prompt, logits))
    return np.stack([penalise_repetition(row, ids, repetition_penalty) for row, ids in rows])


@defect(id="PN-04", source="EricLBuehler/mistral.rs PR #159, 2024-04-16", kind="padded vocabulary", expected_checks=("contract",))
@sf.target(order=["presence_penalty"], returns="logits")
def penalty_buffer_is_shorter_than_the_head(logits, history, presence_penalty):
    """The penalty of each token lies in a buffer of the tokenizer's size and is read by a loop over the wider head."""
    require_logits(logits)
    require(-100 <= presence_penalty <= 100, f"presence_penalty must be in [-100, 100], got {presence_penalty}")
    tokenizer = max(1, logits.shape[-1] - logits.shape[-1] % _HEAD_WIDTH)
    out = logits.astype(np.float64)
    for row, ids in zip(out, require_history(history, logits)):
        penalty = [presence_penalty * (token in ids) for token in range(tokenizer)]
        row -= [penalty[token] for token in range(len(row))] if len(ids) else 0
    return out


@defect(id="PN-04B", source="EricLBuehler/mistral.rs PR #159, 2024-04-16", kind="order of stages", expected_checks=("support",))
@sf.target(order=["presence_penalty", "temperature"], returns="probs")
def greedy_comes_before_the_penalties(logits, history, presence_penalty, temperature):
    """At temperature 0 the arg-max is taken before the penalties, so a greedy request ignores them."""
    require_logits(logits)
    require_temperature(temperature)
    require(-100 <= presence_penalty <= 100, f"presence_penalty must be in [-100, 100], got {presence_penalty}")
    out = logits.astype(np.float64)
    for row, ids in zip(out, require_history(history, logits)):
        row[np.unique(ids)] -= presence_penalty
    return distribution(logits if temperature == 0 else out, temperature)


@defect(
    id="VL-09",
    source="vllm-project/vllm-metal PR #69, 2026-01-10; NVIDIA/TensorRT-LLM PR #5623, 2025-06-30",
    kind="penalty semantics",
    expected_checks=("distribution",),
)
@sf.target(order=["repetition_penalty", "presence_penalty"], returns="logits", dialect="vllm")
def penalties_swap_their_histories(logits, prompt, output, repetition_penalty, presence_penalty):
    """Presence counts prompt and output, repetition the output alone; this engine's contract is the other way round."""
    require_logits(logits)
    require_repetition_penalty(repetition_penalty)
    require(-2 <= presence_penalty <= 2, f"presence_penalty must be in [-2, 2], got {presence_penalty}")
    out = np.empty(logits.shape)
    for row, before, after in zip(range(len(out)), require_history(prompt, logits), require_history(output, logits)):
        out[row] = penalise_repetition(logits[row], after, repetition_penalty)
        out[row, np.unique([*before, *after]).astype(np.int64)] -= presence_penalty
    return out
