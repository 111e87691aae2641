"""How far two sets of logits are apart, position by position. NumPy float64."""

import numpy as np


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def max_abs(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference of any logit."""
    return float(np.abs(ours.astype(np.float64) - theirs).max())


def largest_kl(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest KL(theirs ‖ ours) of any position, in nats."""
    p, q = log_softmax(theirs), log_softmax(ours)
    return float((np.exp(p) * (p - q)).sum(axis=-1).max())


def top(logits: np.ndarray, count: int = 10) -> np.ndarray:
    """Return the ids of the `count` largest logits of each position, largest first."""
    return np.argsort(-logits, axis=-1, kind="stable")[..., :count]


def least_overlap(ours: np.ndarray, theirs: np.ndarray) -> int:
    """Return the smallest number of ids that two `[..., n]` tables of ids share at any position."""
    shared = (ours[..., :, None] == theirs[..., None, :]).any(axis=-1).sum(axis=-1)
    return int(shared.min())
