"""Numbers that tell an under-trained token from its embedding; low is suspicious in each (Land & Bartolo, arXiv 2405.05417; Rumbelow & Watkins 2023).

With E the rows of one embedding space [V, E] and ū the mean of rows that are known to be unused:
  norm           ‖E_i‖
  cosine         1 − cos(E_i, ū)
  centred        the same after the mean row is taken away
  without_pc1    the same after the first principal component is taken away too
  distance       ‖E_i − ū‖
  centroid       distance to the mean of all rows
The combined score is the mean rank by cosine, centred and distance: chosen before any truth was looked at, since these three are what a common push of the
softmax, which all unused rows get, leaves behind.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from samplerfuzz.core.errors import ParameterError

COMBINED = ("cosine", "centred", "distance")


def indicators(rows: np.ndarray, unused: np.ndarray) -> dict[str, np.ndarray]:
    """Return name -> [V] of every indicator, and "combined".

    Args:
      rows: [V, E] of one embedding space.
      unused: ids known to be unused, at least one.

    Raises:
      ParameterError: no such id.
    """
    if not len(unused):
        raise ParameterError("unused: expected at least one id that is known to be unused; special tokens that no text holds are such")
    e = np.asarray(rows, np.float64)
    mean = e.mean(0)
    centred = e - mean
    first = np.linalg.svd(centred.T @ centred)[0][:, 0]
    bare = centred - np.outer(centred @ first, first)
    found = {
        "norm": np.linalg.norm(e, axis=1),
        "cosine": _apart(e, e[unused].mean(0)),
        "centred": _apart(centred, centred[unused].mean(0)),
        "without_pc1": _apart(bare, bare[unused].mean(0)),
        "distance": np.linalg.norm(e - e[unused].mean(0), axis=1),
        "centroid": np.linalg.norm(centred, axis=1),
    }
    found["combined"] = np.mean([rankdata(found[name]) for name in COMBINED], axis=0)
    return found


def auc(score: np.ndarray, positive: np.ndarray) -> float:
    """Return the probability that a positive scores lower than a negative, ties counted half; NaN without one of either.

    >>> auc(np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, False, True, False]))
    0.75
    """
    n, rest = int(positive.sum()), int((~positive).sum())
    if not n or not rest:
        return float("nan")
    ranks = rankdata(score)
    return float(1 - (ranks[positive].sum() - n * (n + 1) / 2) / (n * rest))


def _apart(rows: np.ndarray, direction: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = rows @ direction / (np.linalg.norm(rows, axis=1) * np.linalg.norm(direction))
    return np.asarray(1 - np.nan_to_num(cosine))
