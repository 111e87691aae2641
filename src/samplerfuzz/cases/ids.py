"""Biases and lists of token ids as arrays over the vocabulary."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np


def dense(rows: Sequence[Collection[int]], vocabulary: int) -> np.ndarray:
    """Return float64 [B, V]: the addend of each token for mappings, 1 for each id of lists, else 0; ids outside the vocabulary are left out.

    >>> dense([{1: 0.5}, [2, 0, 7]], 3)
    array([[0. , 0.5, 0. ],
           [1. , 0. , 1. ]])
    """
    array = np.zeros((len(rows), vocabulary))
    for row, ids in enumerate(rows):
        for token in ids:
            if 0 <= token < vocabulary:
                array[row, token] = ids[token] if isinstance(ids, Mapping) else 1.0
    return array


def outside(rows: Sequence[Collection[int]], vocabulary: int) -> np.ndarray:
    """Return [B] bool: the row names an id outside the vocabulary."""
    return np.array([any(not 0 <= token < vocabulary for token in ids) for ids in rows], bool)
