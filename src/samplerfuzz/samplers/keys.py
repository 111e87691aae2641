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

_SIGN = np.uint32(0x80000000)


def sortable(z: jax.Array) -> jax.Array:
    """Return uint32 keys in the order of the float32 `z`; −0 and +0 share a key. NaN keys mean nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> keys = sortable(jnp.array([-jnp.inf, -1.0, -0.0, 0.0, 1e-45, 2.0]))
      >>> [bool(a < b) for a, b in zip(keys[:-1], keys[1:])]
      [True, True, False, True, True]
    """
    bits = lax.bitcast_convert_type(z, jnp.uint32)
    bits = jnp.where(bits == _SIGN, jnp.uint32(0), bits)
    return jnp.where(bits >= _SIGN, ~bits, bits | _SIGN)


def value(keys: jax.Array) -> jax.Array:
    """Return the float32 that has the given keys."""
    return lax.bitcast_convert_type(jnp.where(keys >= _SIGN, keys ^ _SIGN, ~keys), jnp.float32)


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
