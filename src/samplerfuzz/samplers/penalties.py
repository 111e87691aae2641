"""Penalties on tokens that were seen: repetition, presence, frequency.

repetition_penalty r: a seen token's z becomes z/r when z > 0 and z·r otherwise, once a distinct token (Keskar et al. 2019, arXiv
1909.05858, with the sign corrected). Not shift invariant by its definition, so it belongs before temperature. Neutral 1.
presence_penalty a: a seen token's z becomes z − a. frequency_penalty b: z − b·(times seen). Both from the OpenAI API; before
temperature. Neutral 0.

Seen: within the last `penalty_last_n` tokens of the history; −1 (any negative number) the whole history, 0 off. The prompt counts
(llama.cpp, transformers) unless `count_prompt` is 0 (vLLM's presence and frequency): then of the window only what comes after
`State.prompt_lengths` tokens. Ids outside the vocabulary are not counted. Domain: reals; a result beyond float32 becomes the largest
finite number of its sign; an infinite logit stays as it is. No token is ever removed, so nothing can become empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from samplerfuzz.samplers.mass import ratio
from samplerfuzz.samplers.parameter import column, integer, real, whole
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Info, Stage, State, finite
from samplerfuzz.samplers.window import tokens_so_far, window_of


@pytree
@dataclass(frozen=True)
class RepetitionPenalty(Stage):
    """z/r or z·r, whichever is less for r > 1."""

    penalty: Any
    last_n: Any
    count_prompt: Any

    def process(self, z: jax.Array, state: State | None) -> tuple[jax.Array, Info]:
        """Scale the seen tokens toward −∞."""
        r = column("repetition_penalty", self.penalty, z.shape[0])
        seen = counts(state, self, z, "repetition_penalty") > 0
        scaled = jnp.where(z > 0, ratio(z, r), jnp.where(z == 0, 0.0, z * r))
        return jnp.where(seen, finite(scaled, z), z), {"seen": jnp.sum(seen, axis=-1, dtype=jnp.int32)}


@pytree
@dataclass(frozen=True)
class PresencePenalty(Stage):
    """z − a for seen tokens."""

    penalty: Any
    last_n: Any
    count_prompt: Any

    def process(self, z: jax.Array, state: State | None) -> tuple[jax.Array, Info]:
        """Lower the seen tokens by a constant."""
        seen = counts(state, self, z, "presence_penalty") > 0
        lowered = finite(z - column("presence_penalty", self.penalty, z.shape[0]), z)
        return jnp.where(seen, lowered, z), {"seen": jnp.sum(seen, axis=-1, dtype=jnp.int32)}


@pytree
@dataclass(frozen=True)
class FrequencyPenalty(Stage):
    """z − b·count."""

    penalty: Any
    last_n: Any
    count_prompt: Any

    def process(self, z: jax.Array, state: State | None) -> tuple[jax.Array, Info]:
        """Lower the seen tokens by a constant a time."""
        count = counts(state, self, z, "frequency_penalty")
        lowered = finite(z - column("frequency_penalty", self.penalty, z.shape[0]) * count.astype(jnp.float32), z)
        return jnp.where(count > 0, lowered, z), {"seen": jnp.sum(count > 0, axis=-1, dtype=jnp.int32)}


def counts(state: State | None, stage: RepetitionPenalty | PresencePenalty | FrequencyPenalty, z: jax.Array, name: str) -> jax.Array:
    """Return how often each token stands in the window of the stage, int32 [B, V].

    Raises:
      ParameterError: no history, or one of other rows than the logits.
    """
    rows, vocabulary = z.shape
    state = tokens_so_far(state, rows, name)
    inside = window_of(state, whole(column("penalty_last_n", stage.last_n, rows)))
    if state.prompt_lengths is not None:
        position = jnp.arange(state.history.shape[1], dtype=jnp.int32)[None]
        inside &= (position >= state.prompt_lengths[:, None]) | (whole(column("count_prompt", stage.count_prompt, rows)) != 0)
    ids = state.history.astype(jnp.int32)
    ids = jnp.where(inside & (ids >= 0), ids, vocabulary)
    row = jnp.arange(rows, dtype=jnp.int32)[:, None]
    return jnp.zeros((rows, vocabulary), jnp.int32).at[row, ids].add(1, mode="drop")


def repetition_penalty(
    repetition_penalty: ArrayLike, *, penalty_last_n: ArrayLike = -1, count_prompt: ArrayLike = True
) -> RepetitionPenalty:
    """Make seen tokens less probable, in proportion to their logit.

    z' = z/r if z > 0 else z·r, for each distinct token of the window.

    Args:
      repetition_penalty: r, a ratio, scalar or [B]; neutral 1; below 1 it rewards.
      penalty_last_n: tokens of the window, scalar or [B]; negative: all, 0: off.
      count_prompt: whether the prompt's tokens count, scalar or [B]; neutral True.

    Returns:
      A stage that needs a state; logits float32 of the shape given. Diagnostics: kept, seen.

    Raises:
      ParameterError: not a number, not one for each row, or no history.

    Policy: once a distinct token; masked stays masked; r = 0 sends positive logits to the largest finite number.

    Source: arXiv 1909.05858, with the sign corrected.

    Example:
      >>> import jax.numpy as jnp
      >>> from samplerfuzz.samplers import State
      >>> seen = State(jnp.array([[0, 1, 1]]), jnp.array([3]))
      >>> repetition_penalty(2.0)(jnp.array([[4.0, -4.0, 4.0]]), seen)[0]
      Array([[ 2., -8.,  4.]], dtype=float32)
    """
    return RepetitionPenalty(
        real("repetition_penalty", repetition_penalty), integer("penalty_last_n", penalty_last_n), integer("count_prompt", count_prompt)
    )


def presence_penalty(presence_penalty: ArrayLike, *, penalty_last_n: ArrayLike = -1, count_prompt: ArrayLike = True) -> PresencePenalty:
    """Lower the logits of seen tokens by a constant.

    z' = z − a·1[c > 0].

    Args:
      presence_penalty: a, nats, scalar or [B]; neutral 0; negative it rewards.
      penalty_last_n: tokens of the window, scalar or [B]; negative: all, 0: off.
      count_prompt: whether the prompt's tokens count, scalar or [B]; neutral True.

    Returns:
      A stage that needs a state; logits float32 of the shape given. Diagnostics: kept, seen.

    Raises:
      ParameterError: not a number, not one for each row, or no history.

    Policy: once a distinct token; masked stays masked.

    Source: OpenAI API reference, presence_penalty.

    Example:
      >>> import jax.numpy as jnp
      >>> from samplerfuzz.samplers import State
      >>> presence_penalty(1.5)(jnp.array([[4.0, 4.0]]), State(jnp.array([[1, 1]]), jnp.array([2])))[0]
      Array([[4. , 2.5]], dtype=float32)
    """
    return PresencePenalty(
        real("presence_penalty", presence_penalty), integer("penalty_last_n", penalty_last_n), integer("count_prompt", count_prompt)
    )


def frequency_penalty(frequency_penalty: ArrayLike, *, penalty_last_n: ArrayLike = -1, count_prompt: ArrayLike = True) -> FrequencyPenalty:
    """Lower the logits of seen tokens by a constant a time.

    z' = z − b·c.

    Args:
      frequency_penalty: b, nats, scalar or [B]; neutral 0; negative it rewards.
      penalty_last_n: tokens of the window, scalar or [B]; negative: all, 0: off.
      count_prompt: whether the prompt's tokens count, scalar or [B]; neutral True.

    Returns:
      A stage that needs a state; logits float32 of the shape given. Diagnostics: kept, seen.

    Raises:
      ParameterError: not a number, not one for each row, or no history.

    Policy: c counts the window; masked stays masked.

    Source: OpenAI API reference, frequency_penalty.

    Example:
      >>> import jax.numpy as jnp
      >>> from samplerfuzz.samplers import State
      >>> frequency_penalty(1.5)(jnp.array([[4.0, 4.0]]), State(jnp.array([[1, 1]]), jnp.array([2])))[0]
      Array([[4., 1.]], dtype=float32)
    """
    return FrequencyPenalty(
        real("frequency_penalty", frequency_penalty), integer("penalty_last_n", penalty_last_n), integer("count_prompt", count_prompt)
    )
