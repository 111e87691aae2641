"""A Dirichlet-mixture e-process for draws from a distribution known to lie in a box.

Universal inference (Wasserman, Ramdas & Balakrishnan 2020, PNAS 117:16880): the mixture likelihood over the largest
likelihood under the null is an e-process, because dividing by the largest is dividing by at least the true one.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, xlogy


def log_e_value(counts: np.ndarray, low: np.ndarray, high: np.ndarray, *, prior: float = 0.5) -> float:
    """Return ln of the e-value of `counts` [V] against the null {p : low <= p <= high, sum p = 1}.

    Args:
      counts: draws of each token.
      low, high: [V] bounds of the honest probabilities.
      prior: Dirichlet concentration of each token in the alternative (Krichevsky-Trofimov 1/2).

    Returns:
      ln e; +inf when a token with high = 0 was drawn. Under the null P(sup_n e_n >= 1/a) <= a.

    >>> log_e_value(np.array([90, 10]), np.array([0.5, 0.5]), np.array([0.5, 0.5])) > 20
    True
    """
    counts = np.asarray(counts, np.float64)
    if ((counts > 0) & (high <= 0)).any():
        return float("inf")
    size, total = len(counts), counts.sum()
    mixture = gammaln(size * prior) - gammaln(size * prior + total) + (gammaln(counts + prior) - gammaln(prior)).sum()
    return float(mixture - _largest_log_likelihood(counts, np.clip(low, 0, 1), np.clip(high, 0, 1)))


def _largest_log_likelihood(counts: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Maximise Σ n ln p over the box: p = clip(n / λ, low, high), λ by bisection on Σ p = 1 (p may sum to less)."""
    if low.sum() > 1 or high.sum() < 1:
        high = np.maximum(high, low)
    if np.minimum(high, 1).sum() <= 1 + 1e-12:
        best = high
    else:
        left, right = -60.0, 80.0
        for _ in range(200):
            middle = (left + right) / 2
            total = np.clip(counts * np.exp(-middle), low, high).sum()
            left, right = (middle, right) if total > 1 else (left, middle)
        best = np.clip(counts * np.exp(-left), low, high)
    return float(xlogy(counts, np.maximum(best, 1e-320)).sum())
