"""DRY, don't repeat yourself: lower the tokens that would make a repetition longer (p-e-w, text-generation-webui pull request 5677).

z' = z − m·base^(L − A) for a token that would lengthen a repetition of L ≥ A tokens: the L newest tokens also stand earlier in the
window, followed by this token. The largest L counts where a token follows several; an earlier place may overlap the newest tokens. A is
the longest repetition that costs nothing.

The window is the newest `dry_penalty_last_n` tokens; −1 (any negative number) all, 0 off. A sequence breaker ends a repetition: L
reaches back to the newest breaker at most, and a breaker itself is never lowered. Breakers are single tokens, one mask over the
vocabulary; an engine that has strings marks every token that contains one. The exponent is cut where base^exponent reaches the end of
float32, as in llama.cpp and koboldcpp: text-generation-webui cuts L at 50, exllamav2 at 20 (and counts
occurrences, which is another penalty). Ids outside the vocabulary are compared like others.

Before temperature. No token is removed, so nothing can become empty; a result beyond float32 becomes the largest finite number of its
sign. Neutral: m = 0. base < 1 is off, as in llama.cpp; m < 0 rewards. Cost: O(T) a row for each token that the longest repetition has,
up to the cut.

Source: the pull request; llama.cpp, src/llama-sampler.cpp; koboldcpp pull request 982.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import ArrayLike

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.samplers.parameter import column, integer, real, whole
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Info, Stage, State, finite
from samplerfuzz.samplers.window import tokens_so_far, window_of

_LOG_LARGEST = np.float32(88.7228391)
_MANY = 2**29


@pytree
@dataclass(frozen=True)
class Dry(Stage):
    """z − m·base^(L − A)."""

    multiplier: Any
    base: Any
    allowed_length: Any
    last_n: Any
    breakers: Any  # bool [1, V] or [B, V], or None

    def process(self, z: jax.Array, state: State | None) -> tuple[jax.Array, Info]:
        """Measure the repetition that each token would lengthen and subtract its price."""
        rows, vocabulary = z.shape
        state = tokens_so_far(state, rows, "dry_multiplier")
        multiplier, base = column("dry_multiplier", self.multiplier, rows), column("dry_base", self.base, rows)
        allowed = jnp.clip(whole(column("dry_allowed_length", self.allowed_length, rows)), -_MANY, _MANY)
        on = (multiplier != 0) & (base >= 1)
        log_base = jnp.log(jnp.where(on, base, 1.0))
        steepest = jnp.where(log_base > 1e-6, _LOG_LARGEST / jnp.maximum(log_base, 1e-6), jnp.float32(_MANY)).astype(jnp.int32)
        cut = jnp.where(on, allowed + steepest, 0)
        window = window_of(state, whole(column("dry_penalty_last_n", self.last_n, rows)))
        length = self._repetitions(state, window, vocabulary, cut)
        exponent = jnp.minimum(length - allowed, steepest).astype(jnp.float32)
        lowered = finite(z - multiplier * jnp.exp(exponent * log_base), z)
        hit = on & (length > 0) & (length >= allowed)
        if self.breakers is not None:
            hit &= ~self._mask(vocabulary)
        return jnp.where(hit, lowered, z), {"longest": jnp.max(jnp.where(hit, length, 0), axis=-1)}

    def _repetitions(self, state: State, window: jax.Array, vocabulary: int, cut: jax.Array) -> jax.Array:
        """Return, for each token, the largest L ≤ `cut` [B, 1] of the repetitions that it would lengthen, int32 [B, V]; 0: none."""
        ids = state.history.astype(jnp.int32)
        rows, capacity = ids.shape
        lengths = state.lengths[:, None]
        place = jnp.arange(capacity, dtype=jnp.int32)[None]
        row = jnp.arange(rows, dtype=jnp.int32)[:, None]
        limit = jnp.minimum(cut, lengths)
        if self.breakers is not None:
            inside = window & (ids >= 0) & (ids < vocabulary)
            breaker = inside & jnp.broadcast_to(self._mask(vocabulary), (rows, vocabulary))[row, jnp.clip(ids, 0, vocabulary - 1)]
            limit = jnp.minimum(limit, lengths - 1 - jnp.max(jnp.where(breaker, place, -1), axis=-1, keepdims=True))

        def unfinished(carry: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
            return jnp.any(carry[1])

        def lengthen(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
            n, alive, length = carry
            newest = jnp.take_along_axis(ids, jnp.clip(lengths - 1 - n, 0, capacity - 1), axis=-1)
            earlier = place - n
            same = jnp.take_along_axis(ids, jnp.clip(earlier, 0, capacity - 1), axis=-1) == newest
            seen = jnp.take_along_axis(window, jnp.clip(earlier, 0, capacity - 1), axis=-1) & (earlier >= 0)
            alive &= same & seen & (n < limit)
            return n + 1, alive, length + alive.astype(jnp.int32)

        # the place before the last is the latest end of an earlier occurrence: the token after it must be there to be lowered
        begin = (jnp.int32(0), window & (place < lengths - 1), jnp.zeros((rows, capacity), jnp.int32))
        _, _, length = lax.while_loop(unfinished, lengthen, begin)
        follower = jnp.roll(ids, -1, axis=1)
        follower = jnp.where((length > 0) & (follower >= 0), follower, vocabulary)
        return jnp.zeros((rows, vocabulary), jnp.int32).at[row, follower].max(length, mode="drop")

    def _mask(self, vocabulary: int) -> jax.Array:
        mask = jnp.asarray(self.breakers)
        if mask.shape[-1] != vocabulary:
            raise ParameterError(
                f"dry_sequence_breakers has shape {tuple(mask.shape)}; expected one truth value a token, [{vocabulary}] or [B, {vocabulary}]"
            )
        return mask


def dry(
    dry_multiplier: ArrayLike,
    dry_base: ArrayLike = 1.75,
    dry_allowed_length: ArrayLike = 2,
    *,
    dry_penalty_last_n: ArrayLike = -1,
    dry_sequence_breakers: ArrayLike | None = None,
) -> Dry:
    """Lower the tokens that would make a repetition longer, steeply in its length.

    z' = z − m·base^(L − A) where L ≥ A.

    Args:
      dry_multiplier: m, nats, scalar or [B]; neutral 0.
      dry_base: growth a token, scalar or [B]; below 1 is off.
      dry_allowed_length: A, the longest repetition without a price, tokens, scalar or [B].
      dry_penalty_last_n: tokens of the window, scalar or [B]; negative: all, 0: off.
      dry_sequence_breakers: which tokens end a repetition, bool [V] or [B, V] (see `dense_ids`); None: none.

    Returns:
      A stage that needs a state; logits float32 of the shape given. Diagnostics: kept, longest (the largest L that had a price).

    Raises:
      ParameterError: not a number, not one for each row, breakers of another vocabulary, or no history.

    Policy: the largest L of a token counts, once; breakers are never lowered; masked stays masked.

    Source: text-generation-webui pull request 5677.

    Example:
      >>> import jax.numpy as jnp
      >>> from samplerfuzz.samplers import State
      >>> seen = State(jnp.array([[0, 1, 2, 0, 1]]), jnp.array([5]))
      >>> dry(1.0, 2.0, 1)(jnp.array([[4.0, 4.0, 4.0]]), seen)[0]
      Array([[4., 4., 2.]], dtype=float32)
    """
    breakers: Any = dry_sequence_breakers
    if breakers is not None:
        breakers = breakers if isinstance(breakers, jax.Array) else np.asarray(breakers)
        if breakers.ndim not in (1, 2):
            raise ParameterError(
                f"dry_sequence_breakers has shape {tuple(breakers.shape)}; expected one truth value a token, [V] or [B, V]"
            )
        breakers = (breakers != 0).reshape(-1, breakers.shape[-1])
    return Dry(
        real("dry_multiplier", dry_multiplier),
        real("dry_base", dry_base),
        integer("dry_allowed_length", dry_allowed_length),
        integer("dry_penalty_last_n", dry_penalty_last_n),
        breakers,
    )
