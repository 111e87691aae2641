"""Allowed and forbidden tokens: hard masks by token id.

allowed_tokens: every token that is not listed is removed (vLLM `allowed_token_ids`). forbidden_tokens: every token that is listed is removed
(transformers `suppress_tokens`). The lists are dense, one flag a token, so that their ids are data; `dense_ids` makes them from lists. They are masks and
no filters: whatever follows, no token comes back, and `min_tokens_to_keep` does not apply. Before or after temperature alike. Neutral: all
allowed, none forbidden. A row may become empty only by removing all its tokens, which is what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Info, Stage, State


@pytree
@dataclass(frozen=True)
class AllowedTokens(Stage):
    """Only what is listed."""

    listed: Any  # [1, V] or [B, V] bool

    def process(self, z: jax.Array, state: State | None) -> tuple[jax.Array, Info]:
        """Mask what is not listed."""
        return jnp.where(_for_rows("allowed_tokens", self.listed, z), z, -jnp.inf), {}


@pytree
@dataclass(frozen=True)
class ForbiddenTokens(Stage):
    """All but what is listed."""

    listed: Any  # [1, V] or [B, V] bool

    def process(self, z: jax.Array, state: State | None) -> tuple[jax.Array, Info]:
        """Mask what is listed."""
        return jnp.where(_for_rows("forbidden_tokens", self.listed, z), -jnp.inf, z), {}


def allowed_tokens(allowed_tokens: ArrayLike) -> AllowedTokens:
    """Remove every token that is not listed.

    Args:
      allowed_tokens: one flag a token, bool [V] or [B, V]; neutral: all true. See `dense_ids` for lists of token ids.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept.

    Raises:
      ParameterError: not of the shape of the logits.

    Policy: masked stays masked; a row that allows nothing comes out empty.

    Source: vLLM SamplingParams, allowed_token_ids.

    Example:
      >>> import jax.numpy as jnp
      >>> allowed_tokens(dense_ids([[2, 0]], 3))(jnp.array([[1.0, 2.0, 3.0]]))[0]
      Array([[  1., -inf,   3.]], dtype=float32)
    """
    return AllowedTokens(_flags("allowed_tokens", allowed_tokens))


def forbidden_tokens(forbidden_tokens: ArrayLike) -> ForbiddenTokens:
    """Remove every token that is listed.

    Args:
      forbidden_tokens: one flag a token, bool [V] or [B, V]; neutral: all false. See `dense_ids` for lists of token ids.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept.

    Raises:
      ParameterError: not of the shape of the logits.

    Policy: masked stays masked; a row that forbids everything comes out empty.

    Source: transformers GenerationConfig, suppress_tokens.

    Example:
      >>> import jax.numpy as jnp
      >>> forbidden_tokens(dense_ids([[1]], 3))(jnp.array([[1.0, 2.0, 3.0]]))[0]
      Array([[  1., -inf,   3.]], dtype=float32)
    """
    return ForbiddenTokens(_flags("forbidden_tokens", forbidden_tokens))


def dense_ids(lists: Sequence[Iterable[int]], vocabulary: int) -> np.ndarray:
    """Return one flag a token, bool [B, V], from a list of token ids a row.

    Raises:
      ParameterError: an id outside the vocabulary.

    Example:
      >>> dense_ids([[2, 2], []], 3)
      array([[False, False,  True],
             [False, False, False]])
    """
    dense = np.zeros((len(lists), vocabulary), bool)
    for row, ids in enumerate(lists):
        for token in ids:
            if not 0 <= token < vocabulary:
                raise ParameterError(f"token {token} in row {row} of the lists; expected 0 ≤ id < {vocabulary}")
            dense[row, token] = True
    return dense


def _flags(name: str, listed: ArrayLike) -> Any:
    array = listed if isinstance(listed, jax.Array) else np.asarray(listed)
    if array.ndim not in (1, 2) or array.dtype != bool:
        raise ParameterError(
            f"{name} has shape {tuple(array.shape)} and dtype {array.dtype}; expected one flag a token, bool [V] or [B, V]"
        )
    return array.reshape(-1, array.shape[-1])


def _for_rows(name: str, listed: Any, z: jax.Array) -> jax.Array:
    flags = jnp.asarray(listed)
    if flags.shape[1] != z.shape[1] or flags.shape[0] not in (1, z.shape[0]):
        raise ParameterError(f"{name} has shape {tuple(flags.shape)}; expected one flag a token: [{z.shape[1]}] or {list(z.shape)}")
    return jnp.broadcast_to(flags, z.shape)
