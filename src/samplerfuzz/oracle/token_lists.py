"""Allowed and forbidden tokens: hard masks by token id (vLLM `allowed_token_ids`; transformers `suppress_tokens`).

Allowed: only the listed ids may be drawn. Forbidden: none of them may. Both are masks, not filters: nothing brings a token back, neither a negative
temperature nor `min_tokens_to_keep`. Ids may repeat, and their order means nothing; an id outside the vocabulary should be refused, and
ignoring it is the only clean reading. Lists that leave no token have no agreed answer. Neutral: all ids allowed, none forbidden.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief


def allowed_tokens(belief: Belief, *, allowed_tokens: np.ndarray) -> Belief:
    """Remove what is not among `allowed_tokens` [R, V]."""
    return _masked(belief, allowed_tokens > 0)


def forbidden_tokens(belief: Belief, *, forbidden_tokens: np.ndarray) -> Belief:
    """Remove `forbidden_tokens` [R, V]."""
    return _masked(belief, forbidden_tokens <= 0)


def _masked(belief: Belief, open_to: np.ndarray) -> Belief:
    least = belief.least - (belief.possible & ~open_to).sum(-1)
    return belief.replaced(must=belief.must & open_to, may=belief.may & open_to, least=np.maximum(1, least))
