"""E-processes for draws from a distribution known to lie in a box.

Three kinds of evidence are averaged, which keeps the sum an e-process:

- a Dirichlet mixture over all alternatives, by universal inference (Wasserman, Ramdas & Balakrishnan 2020, PNAS 117:16880): the mixture likelihood
  over the largest likelihood under the null. It sees every deviation and pays (V − 1)/2 · ln n for that.
- tilts q_λ ∝ p · exp(λ s) for a few scores s (surprisal: a wrong temperature; id and rank: a draw that leans to one end; the tail: what noise
  of too few bits loses), against the upper end of the box: E[Π q/high] <= 1 under every law in it. A tilt pays a constant.
- one token off: missing, or a few times too rare or too frequent, the others in proportion; in the same way, ln V more.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, logsumexp, xlogy

_FACTORS = np.array([0.0, 0.25, 0.5, 0.8, 1.25, 2.0, 4.0])
_STRENGTHS = np.array([s * sign for s in (0.01, 0.03, 0.1, 0.3, 1.0) for sign in (1, -1)])


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
    low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    size, total = len(counts), counts.sum()
    mixture = gammaln(size * prior) - gammaln(size * prior + total) + (gammaln(counts + prior) - gammaln(prior)).sum()
    everything = mixture - _largest_log_likelihood(counts, low, high)
    middle = (low + high) / 2
    middle = middle / middle.sum() if middle.sum() > 0 else np.full(size, 1 / size)
    simple = [_tilted_log_likelihoods(counts, middle, high), _single_log_likelihoods(counts, middle, high)]
    return float(logsumexp([everything, *(logsumexp(family) - np.log(len(family)) for family in simple)]) - np.log(3))


def _single_log_likelihoods(counts: np.ndarray, middle: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return Σ n ln(q/high) for every token and factor: that token so many times its probability, the others in proportion."""
    allowed = middle > 0
    base = xlogy(counts, middle).sum() - xlogy(counts, np.where(allowed, high, 1.0)).sum()
    own = np.minimum(_FACTORS[:, None] * middle, (1 + middle) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = np.log1p(-own) - np.log1p(-np.minimum(middle, 1 - 1e-12))
        moved = xlogy(counts, own) - xlogy(counts, middle) + (counts.sum() - counts) * rest
    return np.where(allowed & (middle < 1), base + moved, base).ravel()


def _tilted_log_likelihoods(counts: np.ndarray, middle: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return Σ n ln(q/high) for every score and strength; q is fixed before the first draw."""
    allowed = middle > 0
    log_p = np.log(np.where(allowed, middle, 1.0))
    ids = np.arange(len(middle), dtype=np.float64)
    rank = np.empty(len(middle))
    rank[np.argsort(-middle, kind="stable")] = ids
    scores = [-log_p, ids, rank, (middle < 0.05).astype(float)]
    result = []
    for score in scores:
        mean = (middle * score).sum()
        deviation = np.sqrt((middle * (score - mean) ** 2).sum())
        if not deviation > 0:
            continue
        exponent = log_p + _STRENGTHS[:, None] * (score - mean) / deviation
        log_q = exponent - logsumexp(np.where(allowed, exponent, -np.inf), axis=-1, keepdims=True)
        result.append((counts * np.where(allowed, log_q - np.log(np.maximum(high, 1e-320)), 0)).sum(-1))
    return np.concatenate(result) if result else np.zeros(1)


def _largest_log_likelihood(counts: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Maximise Σ n ln p over the box: p = clip(n / λ, low, high), λ by bisection on Σ p = 1 (p may sum to less)."""
    if low.sum() > 1 or high.sum() < 1:
        high = np.maximum(high, low)
    if np.minimum(high, 1).sum() <= 1 + 1e-12:
        best = high
    else:
        left, right = -60.0, 80.0
        for _ in range(64):
            middle = (left + right) / 2
            total = np.clip(counts * np.exp(-middle), low, high).sum()
            left, right = (middle, right) if total > 1 else (left, middle)
        best = np.clip(counts * np.exp(-left), low, high)
    return float(xlogy(counts, np.maximum(best, 1e-320)).sum())
