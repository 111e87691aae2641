"""A row of logits at any inverse temperature β = 1/T, in float64: p_i ∝ exp(β z_i) over the allowed tokens, for every β in [−∞, ∞].

With s = β (z − reference), where the reference is the favoured end of the row, nothing overflows. H = ln Σe^s − Σ p s, E = Σ p z,
Var = Σ p (z − E)², and the varentropy is β² Var, since −ln p_i = ln Z − β z_i.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Tempered:
    """One row at K inverse temperatures.

    Attributes:
      beta: [K]; ±inf are greedy and anti-greedy, 0 is uniform.
      p: [K, V] probabilities; 0 for a masked token.
      entropy: [K] nats.
      varentropy: [K] nats²; 0 at β = 0 and at ±inf.
      mean, variance: [K] of the logits under p.
    """

    beta: np.ndarray
    p: np.ndarray
    entropy: np.ndarray
    varentropy: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


def tempered(logits: np.ndarray, beta: np.ndarray) -> Tempered:
    """Return the row `logits` [V] at every `beta` [K].

    >>> uniform = tempered(np.array([0.0, 1.0, -np.inf]), np.array([0.0]))
    >>> uniform.p.tolist(), round(float(uniform.entropy[0]), 4)
    ([[0.5, 0.5, 0.0]], 0.6931)
    """
    z = np.asarray(logits, np.float64)
    allowed = z > -np.inf
    inside = z[allowed]
    favoured = np.where(beta >= 0, inside.max(), inside.min())
    gap = inside - favoured[:, None]
    with np.errstate(invalid="ignore"):
        s = np.where(gap == 0, 0.0, beta[:, None] * gap)
    weight = np.exp(s)
    total = weight.sum(-1)
    p = weight / total[:, None]
    mean = favoured + (p * gap).sum(-1)
    variance = (p * (gap - (mean - favoured)[:, None]) ** 2).sum(-1)
    with np.errstate(invalid="ignore"):
        entropy = np.log(total) - np.where(p > 0, p * s, 0.0).sum(-1)
        varentropy = np.where(np.isinf(beta), 0.0, beta**2 * variance)
    full = np.zeros((len(beta), len(z)))
    full[:, allowed] = p
    return Tempered(beta=np.asarray(beta, np.float64), p=full, entropy=entropy, varentropy=varentropy, mean=mean, variance=variance)
