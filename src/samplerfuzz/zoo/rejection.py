"""Defects of draws by rejection: a pivot that is raised, a draft that is verified."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import draw_by_inversion, generator, require_logits, require_temperature, require_top_p, softmax, tempered

_SLACK = 1e-5
_ROUNDS = 32


@defect(id="FI-04", source="flashinfer-ai/flashinfer PR #429, 2024-08-07", kind="slack", expected_checks=("support",))
@sf.target(order=["top_p"], returns="tokens")
def pivot_needs_a_slack_of_mass(logits, top_p, seed):
    """A candidate of top-p must beat the threshold by 1e-5 of mass: for a p below that none does, and what was drawn last is returned."""
    require_logits(logits)
    require_top_p(top_p)
    random = generator(seed)
    out = np.empty(len(logits), np.int32)
    for row, p in enumerate(softmax(logits)):
        pivot = 0.0
        for u in random.random(_ROUNDS):
            above = np.where(p > pivot, p, 0.0)
            # with nothing above the pivot the search ends at the last id, and the pivot goes down
            drawn = draw_by_inversion(above[None] / above.sum(), np.array([u]))[0] if above.any() else len(p) - 1
            pivot = p[drawn]
            if p[p <= pivot].sum() + top_p > 1 + _SLACK or top_p == 1:
                break
        out[row] = drawn
    return out


def _drafted(z, random):
    """Return drafts `[B]` from equal probabilities over what is allowed, and these probabilities `[B, V]`."""
    draft = softmax(np.where(np.isneginf(z), -np.inf, 0.0))
    return draw_by_inversion(draft, random.random(len(z))), draft


def _verified(drafted, u, target, draft, replacement):
    """Return the draft where u · q < p, the replacement elsewhere."""
    at = np.arange(len(drafted))
    return np.where(u * draft[at, drafted] < target[at, drafted], drafted, replacement).astype(np.int32)


def _beyond(target, draft):
    """Return max(0, p − q) normalised; a row in which the target is the draft is the target."""
    residual = np.maximum(target - draft, 0)
    residual = np.where(residual.any(-1, keepdims=True), residual, target)
    return residual / residual.sum(-1, keepdims=True)


@defect(id="FI-05", source="flashinfer-ai/flashinfer PR #425, 2024-08-06", kind="stale row", expected_checks=("support",))
@sf.target(order=["temperature"], returns="tokens")
def residual_is_that_of_the_first_position(logits, temperature, seed):
    """Rows are positions of a draft; after a rejection the replacement is drawn from what the target of position 0 has beyond its draft."""
    require_logits(logits)
    require_temperature(temperature)
    z, random = tempered(logits, temperature), generator(seed)
    target = softmax(z)
    drafted, draft = _drafted(z, random)
    beyond = np.repeat(_beyond(target, draft)[:1], len(z), 0)
    replacement = draw_by_inversion(beyond, random.random(len(z)))
    return _verified(drafted, random.random(len(z)), target, draft, replacement)


@defect(id="FI-06", source="flashinfer-ai/flashinfer PR #424, 2024-08-06", kind="stream reuse", expected_checks=("draws",))
@sf.target(order=["temperature"], returns="tokens")
def uniform_that_rejected_draws_the_replacement(logits, temperature, seed):
    """The uniform that rejected the draft, and so is large, draws the replacement too, which leans to the end of the vocabulary."""
    require_logits(logits)
    require_temperature(temperature)
    z, random = tempered(logits, temperature), generator(seed)
    target = softmax(z)
    drafted, draft = _drafted(z, random)
    u = random.random(len(z))
    return _verified(drafted, u, target, draft, draw_by_inversion(_beyond(target, draft), u))
