"""Surprisals and the entropy of a belief, each with the error that an honest implementation may make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samplerfuzz.oracle.belief import Belief


@dataclass(frozen=True, kw_only=True)
class Information:
    """Of the tokens that may be left, in nats.

    Attributes:
      p: [R, V] nominal probability, 0 for tokens of never.
      surprisal: [R, V] −ln p, 0 for tokens of never.
      wobble: [R, V] bound of the error of a surprisal; 1e300 where nothing is known.
      entropy: [R] −Σ p ln p with 0·ln 0 = 0.
      entropy_error: [R].
    """

    p: np.ndarray
    surprisal: np.ndarray
    wobble: np.ndarray
    entropy: np.ndarray
    entropy_error: np.ndarray


def information(belief: Belief) -> Information:
    """Return the surprisals and the entropy of each row."""
    possible, size = belief.possible, belief.z.shape[-1]
    bottom, ceiling = belief.probabilities()
    nominal = np.where(possible, belief.z, -np.inf)
    top = nominal.max(-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    weight = np.exp(nominal - top)
    total = np.maximum(weight.sum(-1, keepdims=True), 1e-300)
    p = weight / total
    surprisal = np.where(possible, np.log(total) + top - np.where(possible, belief.z, 0), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.maximum(np.log(np.maximum(ceiling, 1e-320)) + surprisal, -surprisal - np.log(np.maximum(bottom, 1e-320)))
    wobble = np.where(possible & np.isfinite(apart), np.maximum(apart, 0), np.where(possible, 1e300, 0))
    entropy = (p * surprisal).sum(-1)
    doubtful = np.where(belief.may, ceiling, 0).sum(-1).clip(0, 1)
    share = np.clip(doubtful, 1e-300, 0.5)
    spread = np.where(doubtful > 0, doubtful * np.log(max(size, 2)) - share * np.log(share) - (1 - share) * np.log1p(-share), 0)
    # dH = Σ p (s − H) ds; and a sum of V terms in any order
    moved = (p * np.minimum(wobble, 1e6) * (1 + np.abs(surprisal - entropy[:, None]))).sum(-1)
    error = moved + spread + belief.arithmetic.mass_band(size) * (1 + entropy)
    return Information(p=p, surprisal=surprisal, wobble=wobble, entropy=entropy, entropy_error=error)
