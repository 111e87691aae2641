"""Logit bias: z_i + b_i (OpenAI API).

The bias is dense, one addend a token, so that its ids are data. Before everything else in every engine. An addend of −inf removes the token, +inf makes it take
all probability; a masked token stays masked whatever its addend; a sum beyond float32 becomes the largest finite number. Neutral: 0. Domain: reals.
A row may become empty only by removing all its tokens, which is what was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Info, Stage, State, finite


@pytree
@dataclass(frozen=True)
class LogitBias(Stage):
    """z_i + b_i."""

    addends: Any  # [1, V] or [B, V]

    def process(self, z: jax.Array, state: State | None) -> tuple[jax.Array, Info]:
        """Add, row by row."""
        bias = jnp.asarray(self.addends)
        if bias.shape[1] != z.shape[1] or bias.shape[0] not in (1, z.shape[0]):
            raise ParameterError(
                f"logit_bias has shape {tuple(bias.shape)}; expected one addend a token: [{z.shape[1]}] or {list(z.shape)}"
            )
        bias = jnp.broadcast_to(bias, z.shape)
        return jnp.where(jnp.isinf(bias), bias, finite(z + bias, z)), {}


def logit_bias(logit_bias: ArrayLike) -> LogitBias:
    """Add a number to each logit.

    z'_i = z_i + b_i.

    Args:
      logit_bias: b, nats, [V] or [B, V]; neutral 0. See `dense_bias` for mappings from token ids.

    Returns:
      A stage; logits float32 of the shape given.

    Raises:
      ParameterError: not of the shape of the logits.

    Policy: masked stays masked.

    Source: OpenAI API reference, logit_bias.

    Example:
      >>> import jax.numpy as jnp
      >>> logit_bias(dense_bias([{1: 5.0}], 3))(jnp.array([[1.0, 2.0, -jnp.inf]]))[0]
      Array([[  1.,   7., -inf]], dtype=float32)
    """
    array = logit_bias if isinstance(logit_bias, jax.Array) else np.asarray(logit_bias)
    if array.ndim not in (1, 2):
        raise ParameterError(f"logit_bias has shape {tuple(array.shape)}; expected one addend a token, [V] or [B, V]")
    return LogitBias(array.astype(np.float32).reshape(-1, array.shape[-1]))


def dense_bias(biases: Sequence[Mapping[int, float]], vocabulary: int) -> np.ndarray:
    """Return one addend a token, float32 [B, V], from a mapping a row.

    Raises:
      ParameterError: an id outside the vocabulary.

    Example:
      >>> dense_bias([{2: 1.5}, {}], 3)
      array([[0. , 0. , 1.5],
             [0. , 0. , 0. ]], dtype=float32)
    """
    dense = np.zeros((len(biases), vocabulary), np.float32)
    for row, bias in enumerate(biases):
        for token, addend in bias.items():
            if not 0 <= token < vocabulary:
                raise ParameterError(f"logit_bias names token {token} in row {row}; expected 0 ≤ id < {vocabulary}")
            dense[row, token] = addend
    return dense
