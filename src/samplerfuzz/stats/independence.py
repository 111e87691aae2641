"""An e-process for the independence of pairs, whatever their marginals are."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, xlogy


def log_e_independence(table: np.ndarray, *, prior: float = 0.5) -> float:
    """Return ln of the e-value of a table of pairs [V, V] against independence of the two draws of a pair.

    Universal inference: a Dirichlet mixture over all joint laws, over the largest likelihood of any product of marginals,
    Σ n_ij ln(n_i· n_·j / n²). Under independence P(sup_n e_n >= 1/a) <= a.

    >>> log_e_independence(np.array([[50, 0], [0, 50]])) > 20 > 0 > log_e_independence(np.array([[25, 25], [25, 25]]))
    True
    """
    table = np.asarray(table, np.float64)
    n = table.sum()
    counts, cells = table.ravel(), table.size
    mixture = gammaln(cells * prior) - gammaln(cells * prior + n) + (gammaln(counts + prior) - gammaln(prior)).sum()
    first, second = table.sum(1), table.sum(0)
    product = xlogy(first, first).sum() + xlogy(second, second).sum() - 2 * xlogy(n, n)
    return float(mixture - product)
