"""Logits as integers that sort like them, and the search for a threshold among them.

A float32 and its bit pattern sort alike once negative patterns are flipped, so a k-th largest value or a mass threshold is
found exactly in at most 32 counting passes, one a bit, without sorting. Integers also see subnormal logits, which
float comparisons on CPU and GPU may flush to zero.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from samplerfuzz.samplers.tiles import TILE

LARGEST = np.uint32(0x7F800000)  # bits of +inf, and how far the keys are shifted
_SIGN = np.uint32(0x80000000)
SHORT = 128


def sortable(z: jax.Array) -> jax.Array:
    """Return uint32 keys in the order of the float32 `z`; −0 and +0 share a key, −inf has 0, and NaN lies above all.

    Example:
      >>> import jax.numpy as jnp
      >>> keys = sortable(jnp.array([-jnp.inf, -1.0, -0.0, 0.0, 1e-45, 2.0, jnp.inf, jnp.nan]))
      >>> [bool(a < b) for a, b in zip(keys[:-1], keys[1:])]
      [True, True, False, True, True, True, True]
    """
    # no comparisons: these few instructions are done for many numbers at once
    bits = lax.bitcast_convert_type(z, jnp.int32)
    sign = bits >> 31
    ordered = (bits ^ (sign & jnp.int32(0x7FFFFFFF))) - sign
    return lax.bitcast_convert_type(ordered, jnp.uint32) + LARGEST


def value(keys: jax.Array) -> jax.Array:
    """Return the float32 that has the given keys."""
    ordered = lax.bitcast_convert_type(keys - LARGEST, jnp.int32)
    sign = ordered >> 31
    return lax.bitcast_convert_type((ordered + sign) ^ (sign & jnp.int32(0x7FFFFFFF)), jnp.float32)


def is_short(keys: jax.Array) -> bool:
    """Return whether rows are so short that each key is compared with each, which is one step, rather than searched, which is 32."""
    return keys.shape[-1] <= SHORT


def totals_above(keys: jax.Array, addends: jax.Array) -> list[jax.Array]:
    """Return for each key of a short row the sums of the uint32 `addends` of larger keys, a sum [B, V] for each tile of the row.

    Example:
      >>> import jax.numpy as jnp
      >>> totals_above(jnp.array([[5, 9, 5]], jnp.uint32), jnp.array([[1, 2, 4]], jnp.uint32))[0].tolist()
      [[2, 0, 2]]
    """
    tiles = (slice(begin, begin + TILE) for begin in range(0, keys.shape[-1], TILE))
    return [
        jnp.sum(jnp.where(keys[:, tile, None] > keys[:, None], addends[:, tile, None], jnp.uint32(0)), axis=1, dtype=jnp.uint32)
        for tile in tiles
    ]


def totals_before(addends: jax.Array) -> list[jax.Array]:
    """Return for each entry of a short row the sums of the uint32 `addends` before it, a sum [B, V] for each tile of the row."""
    return totals_above(jnp.broadcast_to(jnp.arange(addends.shape[-1], dtype=jnp.uint32)[::-1], addends.shape), addends)


def largest_threshold(enough: Callable[[jax.Array], jax.Array], active: jax.Array) -> jax.Array:
    """Return, for each row, the largest threshold for which `enough` holds.

    The threshold is built from its highest bit down. `enough` must be monotone: true of a threshold, true of every smaller one.

    Args:
      enough: maps thresholds uint32 [B, 1] to bool [B]: is what lies at or above the threshold enough?
      active: bool [B]; rows whose answer nobody will use. When none is active no pass is made.

    Returns:
      uint32 [B, 1]; 0 where `enough` holds of nothing.
    """

    def unfinished(carry: tuple[jax.Array, jax.Array]) -> jax.Array:
        return (carry[0] > 0) & jnp.any(active)

    def settle_bit(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        bit, found = carry
        candidate = found | bit
        return bit >> 1, jnp.where(enough(candidate)[:, None], candidate, found)

    start = (jnp.uint32(_SIGN), jnp.zeros((active.shape[0], 1), jnp.uint32))
    return lax.while_loop(unfinished, settle_bit, start)[1]
