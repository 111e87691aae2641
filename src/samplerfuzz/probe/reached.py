"""How any inverse temperature is asked of the samplers, whose temperature stage knows no −∞."""

from __future__ import annotations

import numpy as np


def reached(logits: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 rows [K, V] and temperatures [K] by which the JAX temperature stage takes the row [V] to every β [K].

    β = ±inf are T = 0, which is greedy; anti-greedy is greedy on the mirrored row.

    >>> rows, temperature = reached(np.array([2.0, 1.0, -np.inf]), np.array([-np.inf, 0.0, 4.0]))
    >>> rows[0].tolist(), temperature.tolist()
    ([-2.0, -1.0, -inf], [0.0, inf, 0.25])
    """
    with np.errstate(divide="ignore"):
        temperature = np.where(np.isinf(beta), 0.0, np.where(beta == 0, np.inf, 1 / beta)).astype(np.float32)
    rows = np.broadcast_to(np.where((beta == -np.inf)[:, None] & (logits > -np.inf), -logits, logits), (len(beta), len(logits)))
    return np.ascontiguousarray(rows, np.float32), temperature
