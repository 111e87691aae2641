"""Sums of probabilities that are exact: fixed point, so no order of summation and no batch shape changes them.

A float32 sum over a vocabulary is off by up to 1e-3, enough to move a top-p threshold. Here each weight is cut to a whole number
of units of at most 2⁻⁴⁴ of the total at V = 262144 (finer below), and whole numbers are added. What is lost is below V·2⁻⁴⁴.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax

from samplerfuzz.samplers.wide import Wide

_HIGH_BITS = 31


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Nonnegative numbers as whole multiples of 2^(exponent − 31 − low_bits)."""

    high: jax.Array  # [B, V] uint32
    low: jax.Array  # [B, V] uint32, below 2^low_bits
    exponent: jax.Array  # [B] int32: the sum is at most 2^exponent
    low_bits: int


def weights(x: jax.Array) -> Weights:
    """Cut the nonnegative finite float32 `x` [B, V] to fixed point, scaled by a power of two to the sum of its row."""
    rough = jnp.maximum(jnp.sum(x, axis=-1) * jnp.float32(1.02), jnp.float32(2.0**-80))
    exponent = (lax.bitcast_convert_type(rough, jnp.int32) >> 23) - 126
    low_bits = min(24, 32 - x.shape[-1].bit_length())
    scaled = x * _power_of_two(_HIGH_BITS - exponent)[:, None]
    whole = scaled.astype(jnp.int32)  # fits: the sum is below 2³¹/1.02; signed, because few processors convert to unsigned
    rest = (scaled - whole.astype(jnp.float32)) * jnp.float32(2.0**low_bits)
    return Weights(high=whole.astype(jnp.uint32), low=rest.astype(jnp.int32).astype(jnp.uint32), exponent=exponent, low_bits=low_bits)


def softmax_weights(z: jax.Array) -> Weights:
    """Return the weights exp(z − max z); +inf entries share everything, −inf entries have nothing."""
    return weights(jnp.exp(below_max(z)))


def below_max(z: jax.Array) -> jax.Array:
    """Return z − max z ≤ 0 for [B, V]; 0 at a maximum, whatever it is, and −inf where masked."""
    top = jnp.max(z, axis=-1, keepdims=True)
    return jnp.where(z == -jnp.inf, -jnp.inf, jnp.where(z == top, 0.0, z - top))


def log_probability(z: jax.Array) -> jax.Array:
    """Return ln softmax(z) for [B, V]; +inf entries share everything, masked ones have −inf, and an empty row has nothing but −inf."""
    gap = below_max(z)
    mass = row_sum(jnp.exp(gap))[:, None]
    return gap - jnp.log(jnp.where(mass > 0, mass, 1.0))


def half_difference(a: jax.Array, b: jax.Array) -> jax.Array:
    """Return a/2 − b/2, which is finite for any two finite numbers."""
    # without the barrier XLA writes (a − b)/2, which overflows
    half_a, half_b = lax.optimization_barrier((0.5 * a, 0.5 * b))
    return half_a - half_b


def ratio(a: jax.Array, b: jax.Array) -> jax.Array:
    """Return a/b for b [B, 1] of any normal positive size; a negative b is held to the reach of its reciprocal."""
    # XLA divides by a column as it multiplies by its reciprocal, which is flushed to zero beyond 2¹²⁶
    scale = jnp.where(b > jnp.float32(2.0**100), jnp.float32(2.0**-10), 1.0)
    return (a * scale) / (b * scale)


def total(w: Weights, selected: jax.Array | None = None) -> Wide:
    """Return the sum over the `selected` [B, V] entries (all when None), in units, [B]."""
    zero = jnp.uint32(0)
    high = w.high if selected is None else jnp.where(selected, w.high, zero)
    low = w.low if selected is None else jnp.where(selected, w.low, zero)
    return units(jnp.sum(high, axis=-1, dtype=jnp.uint32), jnp.sum(low, axis=-1, dtype=jnp.uint32), w.low_bits)


def units(high: jax.Array, low: jax.Array, low_bits: int) -> Wide:
    """Return high·2^low_bits + low, where `low` may hold more than low_bits bits."""
    high = high + (low >> low_bits)
    low = low & jnp.uint32((1 << low_bits) - 1)
    return Wide(high >> (32 - low_bits), (high << low_bits) | low)


def row_sum(x: jax.Array) -> jax.Array:
    """Return the sum of each row of the nonnegative float32 `x` [B, V], right to the last bits of float32 at any V.

    Example:
      >>> import jax.numpy as jnp
      >>> row_sum(jnp.full((1, 1000), 0.125))
      Array([125.], dtype=float32)
    """
    w = weights(x)
    whole = total(w)
    shift = w.exponent - _HIGH_BITS - w.low_bits
    small = whole.low.astype(jnp.float32) * _power_of_two(shift)
    return whole.high.astype(jnp.float32) * _power_of_two(shift + 32) + small


def _power_of_two(exponent: jax.Array) -> jax.Array:
    """Return 2^exponent for int32 exponents of normal float32."""
    return lax.bitcast_convert_type((jnp.clip(exponent, -126, 127) + 127) << 23, jnp.float32)
