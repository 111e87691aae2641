"""Where the thresholds of a row lie: parameter values at which a technique's kept set changes, from sorted probabilities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Thresholds = Callable[[np.ndarray], np.ndarray]


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return [R, V] probabilities in descending order; rows of nonsense give nonsense."""
    with np.errstate(all="ignore"):
        z = logits.astype(np.float64)
        top = np.where(np.isfinite(z), z, -np.inf).max(-1, keepdims=True)
        p = np.nan_to_num(np.exp(np.where(np.isfinite(z), z - top, -np.inf)))
        return -np.sort(-p / np.maximum(p.sum(-1, keepdims=True), 1e-300), -1)


def _entropy_terms(p: np.ndarray) -> np.ndarray:
    return -p * np.log(np.where(p > 0, p, 1))


def _share_of_entropy(p: np.ndarray) -> np.ndarray:
    """Return the entropy of each prefix, renormalised, as a share of the entropy of the row."""
    mass = np.maximum(np.cumsum(p, -1), 1e-300)
    prefix = np.cumsum(_entropy_terms(p), -1) / mass + np.log(mass)
    return prefix / np.maximum(prefix[:, -1:], 1e-300)


def _below_the_entropy(p: np.ndarray) -> np.ndarray:
    """Return the ε for which min(ε, √ε·e^−H) is each probability."""
    scale = np.exp(_entropy_terms(p).sum(-1, keepdims=True))
    return np.maximum(p, (p * scale) ** 2)


def _curvature(p: np.ndarray) -> np.ndarray:
    """Return the running sum of the absolute second differences, normalised, and ones after it."""
    bend = np.abs(np.diff(p, 2, axis=-1)) if p.shape[-1] > 2 else np.zeros((len(p), 0))
    total = np.maximum(bend.sum(-1, keepdims=True), 1e-300)
    return np.concatenate([np.cumsum(bend, -1) / total, np.ones((len(p), min(2, p.shape[-1])))], -1)


PROPORTIONAL: dict[str, Thresholds] = {
    "probability": lambda p: p,
    "ratio": lambda p: p / np.maximum(p[:, :1], 1e-300),
    "ratio to the square": lambda p: p / np.maximum(p[:, :1] ** 2, 1e-300),
    "probability below the entropy": _below_the_entropy,
    "half surprise": lambda p: -np.log2(np.maximum(p, 1e-30)) / 2,
}
ADDITIVE: dict[str, Thresholds] = {
    "mass": lambda p: np.cumsum(p, -1),
    "share of entropy": _share_of_entropy,
    "curvature": _curvature,
}
RANK = "rank"
