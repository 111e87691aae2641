"""Greedy: the arg-max; ties to the lowest id.

No parameter, no neutral value. A row without allowed tokens stays as it is. Invariant under temperature T > 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from samplerfuzz.samplers.keys import sortable
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Filter, Info


@pytree
@dataclass(frozen=True)
class Greedy(Filter):
    """The arg-max, alone."""

    def rises(self, rows: int) -> jax.Array | None:
        """Return all rows: all but the largest fall to −inf."""
        return jnp.ones((rows, 1), bool) if self.min_tokens_to_keep is None else None

    def keep(self, z: jax.Array) -> tuple[jax.Array, Info]:
        """Keep the lowest id among the largest logits."""
        return arg_max_only(z) > -jnp.inf, {}


def arg_max_only(z: jax.Array) -> jax.Array:
    """Mask all of z [B, V] but the arg-max, ties to the lowest id."""
    best = jnp.argmax(sortable(z), axis=-1)[:, None]
    return jnp.where(jnp.arange(z.shape[-1], dtype=best.dtype)[None] == best, z, -jnp.inf)


def greedy() -> Greedy:
    """Keep the arg-max alone.

    Returns:
      A stage; logits float32 of the shape given, all but one token of each row −inf.

    Policy: ties to the lowest id.

    Example:
      >>> import jax.numpy as jnp
      >>> greedy()(jnp.array([1.0, 3.0, 3.0]))[0]
      Array([-inf,   3., -inf], dtype=float32)
    """
    return Greedy()
