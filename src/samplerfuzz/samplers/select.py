"""Order statistics without a sort: bisection on the bit pattern of the keys, 32 passes whatever the vocabulary.

An order-preserving map sends float32 to uint32; the threshold is then found bit by bit, with counts or masses as the
test. Cost is linear in V and B, and denormals, which XLA on the CPU treats as zero in comparisons, keep their order.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

Array = jax.Array
_BLOCK = 128


def ordered(x: Array) -> Array:
    """Map float32 to uint32 such that x < y iff ordered(x) < ordered(y); -0.0 and 0.0 share a key.

    >>> import jax.numpy as jnp
    >>> bool((ordered(jnp.array([-jnp.inf, -1e-40, 0.0, 1e-40, 2.0]))[1:] > ordered(jnp.array([-jnp.inf, -1e-40, 0.0, 1e-40, 2.0]))[:-1]).all())
    True
    """
    bits = jax.lax.bitcast_convert_type(x, jnp.uint32)
    sign = jnp.uint32(0x80000000)
    bits = jnp.where(bits == sign, jnp.uint32(0), bits)
    return jnp.where(bits >= sign, ~bits, bits | sign)


def largest_threshold(keys: Array, enough: object) -> Array:
    """Return [B, 1] uint32: the largest t for which `enough(keys >= t)` holds; it must hold for t = 0 and be monotone."""
    def step(i: Array, t: Array) -> Array:
        candidate = t | (jnp.uint32(1) << (jnp.uint32(31) - i.astype(jnp.uint32)))
        return jnp.where(enough(keys >= candidate), candidate, t)  # type: ignore[operator]

    return jax.lax.fori_loop(0, 32, step, jnp.zeros((keys.shape[0], 1), jnp.uint32))


def kth_largest(keys: Array, k: Array) -> Array:
    """Return [B, 1]: the k-th largest key of each row; k [B, 1] int32 in [1, V]."""
    return largest_threshold(keys, lambda above: above.sum(-1, keepdims=True, dtype=jnp.int32) >= k)


def prefix_threshold(keys: Array, weights: Array, mass: Array) -> Array:
    """Return [B, 1]: the key at which the weights, summed by descending key, first reach `mass` [B, 1]; ties included."""
    return largest_threshold(keys, lambda above: total(jnp.where(above, weights, jnp.float32(0))) >= mass)


def total(x: Array) -> Array:
    """Sum float32 [B, V] over V to [B, 1] in blocks: the error grows with V / 128, not with V."""
    size = x.shape[-1]
    padded = jnp.pad(x, ((0, 0), (0, -size % _BLOCK)))
    return padded.reshape(x.shape[0], -1, _BLOCK).sum(-1).sum(-1, keepdims=True)
