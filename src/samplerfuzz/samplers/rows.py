"""Some rows of a batch done again, a few at a time.

No row depends on another, so where a short way decides nothing for a row, that row alone takes the long one. Four are taken together: more would mostly be rows
that need not be done, and what is written out of them would leave the processor's caches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import lax

from samplerfuzz.samplers.tiles import count

T = TypeVar("T")
U = TypeVar("U")
TOGETHER = 4


def replaced(found: T, where: jax.Array, function: Callable[[U], T], given: U) -> T:
    """Return `found` with the rows `where` replaced by what `function` makes of those rows of `given`.

    Args:
      found: a pytree of [B, ...].
      where: bool [B].
      function: of some rows of `given`; of each row independently.
      given: a pytree of [B, ...].

    Example:
      >>> import jax.numpy as jnp
      >>> replaced(jnp.zeros(3), jnp.array([True, False, True]), lambda x: x + 1.0, jnp.arange(3.0)).tolist()
      [1.0, 0.0, 3.0]
    """
    rows = where.shape[0]
    together = min(rows, TOGETHER)
    if together == rows:
        # no loop: XLA would take what one turn does out of it, and do it always
        return lax.cond(
            jnp.any(where), lambda: jax.tree.map(lambda new, old: _chosen(where, new, old), function(given), found), lambda: found
        )
    order = jnp.argsort(~where)
    number = count(where)

    def some(carry: tuple[jax.Array, T]) -> tuple[jax.Array, T]:
        done, results = carry
        at = lax.dynamic_slice(order, (jnp.minimum(done, rows - together),), (together,))
        new = function(jax.tree.map(lambda leaf: _taken(leaf, at), given))
        return done + together, jax.tree.map(lambda old, one: old.at[at].set(one), results, new)

    return lax.while_loop(lambda carry: carry[0] < number, some, (jnp.int32(0), found))[1]


def _chosen(rows: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    """Return the `rows` bool [B] of `new` [B, ...] and the others of `old`."""
    return jnp.where(rows.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def _taken(leaf: jax.Array, at: jax.Array) -> jax.Array:
    # put together of slices, which are copied once: a gather would be done anew by everything that reads it
    return jnp.concatenate([lax.dynamic_slice_in_dim(leaf, i, 1) for i in at])
