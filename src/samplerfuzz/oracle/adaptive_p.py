"""Adaptive-p: z' = 5 − 10·d²/(1 + d), d = |p − t'|/0.3, t' = 2t − m in [0, 1], m the mean of the p that were taken (llama.cpp pull
request 17927).

p is the probability before the change. m = w/n; after a token w ← p + decay·w, n ← 1 + decay·n. t < 0 is off. Nothing is removed.

Engines differ in where the mean starts: at t, w = t/(1 − decay) and n = 1/(1 − decay) (llama.cpp, the author), or empty, so that the first
step has t' = t and the second knows one token (the state before the merge).
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, conventions
from samplerfuzz.oracle.memory import Memory, Span, remembering

_PEAK, _SHARPNESS, _WIDTH = 5.0, 10.0, 0.3


def _start(target: np.ndarray, decay: np.ndarray, start: str) -> Memory:
    weight = 1 / (1 - np.clip(decay, 0, 0.99)) if start == "target" else np.zeros_like(target)
    return {"sum": Span.exact(np.clip(target, 0, 1) * weight), "weight": Span.exact(weight)}


def remember(
    before: Belief,
    after: Belief,
    tokens: np.ndarray,
    *,
    adaptive_target: np.ndarray,
    memory: Memory,
    start: str,
    adaptive_decay: np.ndarray | None = None,
) -> Memory:
    """Return the sums after `tokens` [R] were taken."""
    decay = np.clip(np.full_like(adaptive_target, 0.9) if adaptive_decay is None else adaptive_decay, 0, 0.99)
    memory = memory or _start(adaptive_target, decay, start)
    low, high = before.probabilities()
    at = tokens[:, None].astype(np.int64)
    band = before.arithmetic.mass_band(before.z.shape[-1])
    taken = Span(*(np.take_along_axis(bound, at, -1)[:, 0] for bound in (low, high))).widened(np.full(len(tokens), band))
    weight = memory["weight"].scaled(decay).shifted(np.ones(len(tokens)))
    return {"sum": (taken + memory["sum"].scaled(decay)).widened(8 * before.arithmetic.unit * weight.high), "weight": weight}


@remembering(remember)
@conventions(Convention(name="start", values=("target", "empty")))
def adaptive_p(
    belief: Belief, *, adaptive_target: np.ndarray, memory: Memory, start: str, adaptive_decay: np.ndarray | None = None
) -> Belief:
    """Prefer tokens near `adaptive_target` [R]."""
    off = adaptive_target < 0
    target = np.clip(adaptive_target, 0, 1)
    decay = np.full_like(target, 0.9) if adaptive_decay is None else adaptive_decay
    adapted = _adapted(target, memory or _start(target, decay, start))
    low, high = belief.probabilities()
    nominal = np.where(belief.possible, belief.z, -np.inf)
    top = nominal.max(-1, keepdims=True, initial=-np.inf)
    weight = np.exp(nominal - np.where(np.isfinite(top), top, 0))
    p = np.clip(weight / np.maximum(weight.sum(-1, keepdims=True), 1e-300), low, high)
    middle = ((adapted.low + adapted.high) / 2)[:, None]
    half = ((adapted.high - adapted.low) / 2)[:, None]
    unit = belief.arithmetic.unit
    band = belief.arithmetic.mass_band(belief.z.shape[-1])
    distance = np.abs(p - middle) / _WIDTH
    doubt = (np.maximum(high - p, p - low) + half + band * p + 4 * unit) / _WIDTH
    z = _PEAK - _SHARPNESS * distance**2 / (1 + distance)
    # the slope stays below the sharpness
    error = _SHARPNESS * doubt + 16 * unit * (np.abs(z) + _SHARPNESS * (1 + distance))
    possible = belief.possible
    changed = belief.replaced(z=np.where(possible, z, -np.inf), error=np.where(possible, error, 0.0))
    return changed.where(~off, belief)


def _adapted(target: np.ndarray, memory: Memory) -> Span:
    """Return 2t − m, held to [0, 1]; t where nothing was taken yet."""
    weight = memory["weight"].low
    empty = weight == 0
    mean = memory["sum"].scaled(1 / np.where(empty, 1.0, weight))
    low, high = (np.clip(np.where(empty, target, 2 * target - bound), 0, 1) for bound in (mean.high, mean.low))
    return Span(low, high)
