"""Defects that end the process of their caller."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import keep_top_p, masked, repetition_lengths, require, require_logits, require_top_p

_BASE, _ALLOWED = 1.75, 2


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


@defect(id="EX-07", source="turboderp-org/exllamav2 commit 142190e, 2024-11-22", kind="out of bounds", expected_checks=("contract",))
@sf.target(order=["dry"], returns="logits")
def dry_follows_ids_outside_the_vocabulary(logits, history, dry_multiplier):
    """An id at or beyond V, the placeholder of an image, indexes a table of V entries, and the native code writes behind its end."""
    require_logits(logits)
    require(0 <= dry_multiplier <= 1e4, f"dry_multiplier must be in [0, 1e4], got {dry_multiplier}")
    require(len(history) == len(logits), f"{len(history)} histories for {len(logits)} rows of logits")
    require(all((ids >= 0).all() for ids in history), "a history id is negative")
    if dry_multiplier > 0 and any((ids >= logits.shape[-1]).any() for ids in history):
        os.kill(os.getpid(), signal.SIGSEGV)
    out = logits.astype(np.float64)
    for row, ids in zip(out, history):
        lengths = repetition_lengths(ids, len(row)) if dry_multiplier > 0 else np.zeros(len(row))
        row -= np.where(lengths >= _ALLOWED, dry_multiplier * _BASE ** (lengths - float(_ALLOWED)), 0)
    return out
