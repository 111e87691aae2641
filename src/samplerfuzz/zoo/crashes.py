"""Defects that end the process of their caller."""

from __future__ import annotations

import os
import sys

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import keep_top_p, masked, require_logits, require_top_p


@defect(id="LC-11", source="ggml-org/llama.cpp issue #15961, 2025-09-13", kind="stale index", expected_checks=("contract",))
@sf.target(order=["top_p"], returns="logits")
def index_selected_before_the_filters_is_asserted_after_them(logits, top_p):
    """The chain ends without a draw, so an index selected among all tokens is checked against the fewer that are left, and aborts."""
    require_logits(logits)
    require_top_p(top_p)
    selected = logits.argmax(-1)
    kept = keep_top_p(logits, top_p)
    if (selected >= kept.sum(-1)).any():
        sys.stderr.write("ASSERT(selected >= 0 && selected < size) failed\n")
        sys.stderr.flush()
        os.abort()
    return masked(logits, kept)
