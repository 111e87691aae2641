"""`min_tokens_to_keep`: what every filter leaves at the least, by the filter's own ranking.

The m tokens that a filter ranks first stay whatever it decides: the m largest, for typical sampling the m nearest to the entropy (transformers
clears the first m entries of each warper's own order; llama.cpp's `min_keep` does not stop before m). XTC has no such order: where fewer
than m would be left it removes nothing (llama.cpp). Ties of the m-th are free. 1 is neutral. A mask is no filter and spares nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.ranking import Ranking

F = TypeVar("F", bound=Callable[..., Any])
Spare = Callable[[Belief, Belief, np.ndarray], Belief]


def spares(how: Spare) -> Callable[[F], F]:
    """Declare how a filter's twin keeps the least number of tokens, where it is not the largest that stay."""

    def declare(twin: F) -> F:
        twin.spare = how  # type: ignore[attr-defined]
        return twin

    return declare


def spared(twin: Callable[..., Belief], before: Belief, after: Belief, count: np.ndarray) -> Belief:
    """Return what is left when the filter `twin` made `after` of `before` and at least `count` [R] tokens stay."""
    if not (count > 1).any():
        return after
    how: Spare = getattr(twin, "spare", spare_largest)
    return how(before, after, count).where(count > 1, after)


def spare_largest(before: Belief, after: Belief, count: np.ndarray) -> Belief:
    """Keep the `count` [R] largest."""
    return spare_first(before, after, count, before.ranking)


def spare_first(before: Belief, after: Belief, count: np.ndarray, ranking: Ranking) -> Belief:
    """Keep the `count` [R] first of a ranking."""
    surely, possibly = before.count_before(ranking)
    first_surely = before.must & (possibly < count[:, None])
    first_possibly = before.possible & (surely < count[:, None])
    must = after.must | first_surely
    least = np.maximum(after.least, np.minimum(count, before.least)).astype(np.int64)
    most = np.maximum(after.most, (after.possible | first_possibly).sum(-1))
    return after.replaced(must=must, may=(after.possible | first_possibly) & ~must, least=least, most=np.where(count > 1, most, after.most))


def spare_all(before: Belief, after: Belief, count: np.ndarray) -> Belief:
    """Remove nothing where fewer than `count` [R] would be left; a masked token counts, or it does not."""
    masked = (~before.possible).sum(-1)
    fewest, most = np.maximum(after.must.sum(-1), 1), after.possible.sum(-1) + masked
    either = after.replaced(may=before.possible & ~after.must, most=before.most)
    return before.where(most < count, either.where(fewest < count, after))
