"""Biases and lists of token ids as arrays over the vocabulary."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence

import numpy as np


def dense(rows: Sequence[Collection[int]], vocabulary: int) -> np.ndarray:
    """Return float64 [B, V]: the addend of each token for mappings, 1 for each id of lists, else 0; ids outside the vocabulary are left out.

    >>> dense([{1: 0.5}, [2, 0, 7]], 3)
    array([[0. , 0.5, 0. ],
           [1. , 0. , 1. ]])
    """
    row, token = flat(rows)
    inside = (token >= 0) & (token < vocabulary)
    array = np.zeros((len(rows), vocabulary))
    addends = np.fromiter(
        (addend for ids in rows for addend in (ids.values() if isinstance(ids, Mapping) else itertools.repeat(1.0, len(ids)))),
        np.float64,
        len(token),
    )
    array[row[inside], token[inside]] = addends[inside]
    return array


def outside(rows: Sequence[Collection[int]], vocabulary: int) -> np.ndarray:
    """Return [B] bool: the row names an id outside the vocabulary."""
    row, token = flat(rows)
    found = np.zeros(len(rows), bool)
    found[row[(token < 0) | (token >= vocabulary)]] = True
    return found


def flat(rows: Sequence[Collection[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the row number and the id of every entry, row after row.

    >>> flat([{5: 0.5}, [2, 0]])
    (array([0, 1, 1]), array([5, 2, 0]))
    """
    counts = [len(ids) for ids in rows]
    return np.repeat(np.arange(len(rows)), counts), np.fromiter(itertools.chain.from_iterable(rows), np.int64, sum(counts))
