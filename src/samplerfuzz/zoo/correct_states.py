"""Correct parts that the stateful defects share: mirostat, adaptive-p, counted penalties."""

from __future__ import annotations

import numpy as np

from samplerfuzz.zoo.correct import masked, require, softmax


def require_mirostat(tau: float, eta: float) -> None:
    """Refuse a τ that is not in [0, 1000] and an η that is not in [0, 100]."""
    require(0 <= tau <= 1000, f"mirostat_tau must be in [0, 1000], got {tau}")
    require(0 <= eta <= 100, f"mirostat_eta must be in [0, 100], got {eta}")


def surprise(p: np.ndarray) -> np.ndarray:
    """Return −log₂ p, +inf where p is 0."""
    with np.errstate(divide="ignore"):
        return -np.log2(p)


def within(p: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Keep the tokens whose surprise is at most `bound` [B], and the most probable ones."""
    return ((surprise(p) <= bound[:, None]) | (p == p.max(-1, keepdims=True))) & (p > 0)


def near_target(logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the logits of adaptive-p for an adapted target `[B]`: 5 − 10·d²/(1 + d), d = |p − t|/0.3."""
    d = np.abs(softmax(logits) - target[:, None]) / 0.3
    return masked(5 - 10 * d * d / (1 + d), ~np.isneginf(logits))


def penalise_counts(logits: np.ndarray, counts: np.ndarray, presence: float, frequency: float) -> np.ndarray:
    """Return z − a·1[c > 0] − b·c for counts `[B, V]`."""
    return np.asarray(logits, np.float64) - presence * (counts > 0) - frequency * counts
