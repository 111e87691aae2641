"""Defects of composition: every filter is right and the chain is wrong."""

from __future__ import annotations

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import keep_min_p, keep_top_k, keep_top_p, masked, require_logits, require_min_p, require_top_p


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
