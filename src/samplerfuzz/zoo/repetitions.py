"""Defects of DRY: the sequence breakers, the length that is free."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import repetition_lengths, require, require_history, require_logits


def _require_dry(dry_multiplier, dry_base, dry_allowed_length):
    require(0 <= dry_multiplier <= 100, f"dry_multiplier must be in [0, 100], got {dry_multiplier}")
    require(1 <= dry_base <= 16, f"dry_base must be in [1, 16], got {dry_base}")
    require(dry_allowed_length >= 1, f"dry_allowed_length must be at least 1, got {dry_allowed_length}")


@defect(
    id="PN-05",
    source="EricLBuehler/mistral.rs PR #1679, 2025-10-30",
    kind="inverted condition",
    expected_checks=("distribution", "support"),
)
@sf.target(order=["dry"], returns="logits")
def sequence_breakers_never_arrive(logits, history, dry_multiplier, dry_base, dry_allowed_length, dry_sequence_breakers):
    """The list of breakers is filled only where it is empty, so a repetition reaches across every breaker."""
    require_logits(logits)
    _require_dry(dry_multiplier, dry_base, dry_allowed_length)
    require(all(0 <= token < logits.shape[-1] for token in dry_sequence_breakers), "a breaker lies outside the vocabulary")
    out = logits.astype(np.float64)
    for row, ids in zip(out, require_history(history, logits)):
        lengths = repetition_lengths(ids, len(row))
        hit = lengths >= dry_allowed_length
        row[hit] -= dry_multiplier * dry_base ** (lengths[hit] - dry_allowed_length)
    return out


@defect(id="SF-01", source="our own", kind="off by one", expected_checks=("distribution",))
@sf.target(order=["dry"], returns="logits")
def the_longest_free_repetition_is_one_token_too_long(logits, history, dry_multiplier, dry_base, dry_allowed_length):
    """A repetition of exactly the allowed length has no price; the next one has the price that it should have had."""
    require_logits(logits)
    _require_dry(dry_multiplier, dry_base, dry_allowed_length)
    out = logits.astype(np.float64)
    for row, ids in zip(out, require_history(history, logits)):
        lengths = repetition_lengths(ids, len(row))
        hit = lengths > dry_allowed_length
        row[hit] -= dry_multiplier * dry_base ** (lengths[hit] - dry_allowed_length - 1)
    return out
