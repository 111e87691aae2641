"""Uniform draws worth injecting: the ends of [0, 1) and every step of a row's distribution function, one ulp to either side.

An inverse-CDF search goes wrong at the steps: a token of no mass between two others, the last token when float sums end below 1, the
first when u is 0. Which order a sampler sums in is its own affair, so steps of several orders and precisions are thrown.
"""

from __future__ import annotations

import numpy as np

ENDS = (0.0, 5e-324, 2.0**-53, 2.0**-32, 2.0**-24, 0.5, 0.999, 1 - 2.0**-10, 1 - 2.0**-24, 1 - 2.0**-25, 1 - 2.0**-53)


def steps(probabilities: np.ndarray) -> np.ndarray:
    """Return uniforms [n] float64 in [0, 1): the ends, and the running sums of `probabilities` [V] by id and by rank, each with its neighbours."""
    found = [np.array(ENDS)]
    for order in (np.arange(len(probabilities)), np.argsort(-probabilities, kind="stable"), np.argsort(probabilities, kind="stable")):
        for dtype in (np.float64, np.float32):
            sums = np.cumsum(probabilities[order].astype(dtype), dtype=dtype)
            found += [
                np.nextafter(sums, dtype(-1)).astype(np.float64),
                sums.astype(np.float64),
                np.nextafter(sums, dtype(2)).astype(np.float64),
            ]
    every = np.unique(np.concatenate(found))
    return every[(every >= 0) & (every < 1)]
