"""Defects of composition: every stage is right and the chain, or what it hands on, is wrong."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import (
    distribution,
    keep_min_p,
    keep_ranks,
    keep_top_k,
    keep_top_p,
    masked,
    require_logits,
    require_min_p,
    require_temperature,
    require_top_p,
    softmax,
)


@defect(id="MLX-08", source="ml-explore/mlx-lm PR #1330, 2025-03-11", kind="parameter ignored", expected_checks=("support", "metamorphic"))
@sf.target(order=["top_p", "min_p", "top_k"], returns="logits")
def only_one_filter_is_applied(logits, top_p, min_p, top_k):
    """With top-p set, min-p and top-k are ignored; with min-p set, top-k is."""
    require_logits(logits)
    require_top_p(top_p)
    require_min_p(min_p)
    if top_p < 1:
        return masked(logits, keep_top_p(logits, top_p))
    if min_p > 0:
        return masked(logits, keep_min_p(logits, min_p))
    return masked(logits, keep_top_k(logits, top_k))


@defect(
    id="LC-09", source="nobodywho-ooo/nobodywho PR #92, 2025-01-29", kind="parameter mix-up", expected_checks=("support", "distribution")
)
@sf.target(order=["min_p"], returns="logits")
def min_p_runs_top_p(logits, min_p):
    """Min-p is configured and top-p is run with its value."""
    require_logits(logits)
    require_min_p(min_p)
    return masked(logits, keep_top_p(logits, min_p if min_p > 0 else 1.0))


@defect(id="MLX-01", source="ml-explore/mlx-lm PR #388, 2025-08-20", kind="missing renormalisation", expected_checks=("support",))
@sf.target(order=["top_k", "top_p"], returns="logits")
def top_p_measures_what_top_k_left_unnormalised(logits, top_k, top_p):
    """What top-k left adds to less than 1, and top-p drops 1 − p of mass from the small end all the same, which may be everything."""
    require_logits(logits)
    require_top_p(top_p)
    kept = keep_top_k(logits, top_k)
    p = np.where(kept, softmax(logits), 0)
    order = np.argsort(p, -1, kind="stable")
    running = np.cumsum(np.take_along_axis(p, order, -1), -1)
    return masked(logits, kept & keep_ranks(order, (running > 1 - top_p) | (top_p == 1), logits))


@defect(id="SJ-02", source="sgl-project/sglang-jax PR #1563, 2026-08-28", kind="renormalisation", expected_checks=("support",))
@sf.target(order=["top_k", "top_p"], returns="logits", dialect="sglang")
def top_p_measures_what_top_k_left(logits, top_k, top_p):
    """The mass of top-p is measured on what top-k left, where this engine measures it on the full row: too few tokens stay."""
    require_logits(logits)
    require_top_p(top_p)
    z = masked(logits, keep_top_k(logits, top_k))
    return masked(z, keep_top_p(z, top_p))


@defect(id="SG-06", source="sgl-project/sglang, test_flashinfer_min_p", kind="renormalisation", expected_checks=("support",))
@sf.target(order=["top_k", "top_p", "min_p"], returns="logits", dialect="sglang")
def min_p_turns_renormalisation_on(logits, top_k, top_p, min_p):
    """With min-p on, top-p is measured on what top-k left; with min-p off, on the full row as it should be."""
    require_logits(logits)
    require_top_p(top_p)
    require_min_p(min_p)
    within = keep_top_k(logits, top_k)
    measured = masked(logits, within) if min_p > 0 else logits
    return masked(logits, within & keep_top_p(measured, top_p) & keep_min_p(logits, min_p))


@defect(id="PN-07", source="EricLBuehler/mistral.rs PR #2327, 2026-07-14", kind="wrong unit", expected_checks=("distribution",))
@sf.target(order=["temperature"], returns="logits")
def log_probabilities_are_decimal(logits, temperature):
    """The log-probabilities that are handed on are logarithms to base 10."""
    require_logits(logits)
    require_temperature(temperature)
    with np.errstate(divide="ignore"):
        return np.log10(distribution(logits, temperature))
