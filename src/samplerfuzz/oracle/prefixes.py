"""Filters that keep a prefix of the tokens in descending order, whose length is known up to an interval."""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief


def sorted_first(belief: Belief, *values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return `values` [R, V] in descending order of the nominal logits; zeros stand for the tokens of never, at the end."""
    order = np.argsort(np.where(belief.possible, -belief.z, np.inf), -1)
    return tuple(np.take_along_axis(np.where(belief.possible, value, 0.0), order, -1) for value in values)


def keep_between(belief: Belief, fewest: np.ndarray, most: np.ndarray) -> Belief:
    """Keep the largest tokens, at least `fewest` [R] and at most `most` [R], never none.

    Ties of the last may all stay or all go. Where earlier stages left the set open a prefix cannot be told, and everything may stay.
    """
    fewest, most = np.maximum(1, fewest), np.maximum(1, most)
    surely, possibly = belief.count_before(belief.ranking)
    kept, removed = possibly < fewest[:, None], surely >= most[:, None]
    open_set = belief.may.any(-1, keepdims=True)
    kept, removed = kept & ~open_set, removed & ~open_set
    return belief.narrowed(kept=kept, removed=removed, least=kept.sum(-1))
