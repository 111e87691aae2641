"""Sums of probabilities that are exact: fixed point, so no order of summation, no batch and no part of the vocabulary left out as masked changes them.

A float32 sum over a vocabulary is off by up to 1e-3, enough to move a top-p threshold. Here each weight is a share of the largest of its row, cut to a
whole number of units of 2⁻⁴⁵ of it, and whole numbers are added. A unit is at most 2⁻⁴⁵ of the total; what is lost of V weights is below V·2⁻⁴⁵.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax

from samplerfuzz.samplers import tiles, wide
from samplerfuzz.samplers.keys import is_short, totals_above, totals_before
from samplerfuzz.samplers.wide import Wide, add, subtract

HIGH_BITS, LOW_BITS = 22, 23
_ROOM = 19  # 2¹⁹ weights of 2⁴⁵ units fill 64 bits


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Numbers from 0 to 1 as whole multiples of 2^(exponent − 45)."""

    high: jax.Array  # [B, V] uint32, at most 2²²: multiples of 2²³ units
    low: jax.Array  # [B, V] uint32, below 2²³
    exponent: int  # 0 for any vocabulary below 2¹⁹

    def where(self, selected: jax.Array) -> Weights:
        """Return the weights with 0 for all but the `selected`, bool of a shape that broadcasts."""
        zero = jnp.uint32(0)
        return Weights(high=jnp.where(selected, self.high, zero), low=jnp.where(selected, self.low, zero), exponent=self.exponent)


def weights(x: jax.Array) -> Weights:
    """Cut float32 `x` [B, V] between 0 and 1 to fixed point."""
    exponent = max(0, x.shape[-1].bit_length() - _ROOM)
    scaled = x * jnp.float32(2.0 ** (HIGH_BITS - exponent))
    whole = scaled.astype(jnp.int32)  # signed, because few processors convert to unsigned
    rest = (scaled - whole.astype(jnp.float32)) * jnp.float32(2.0**LOW_BITS)
    return Weights(high=whole.astype(jnp.uint32), low=rest.astype(jnp.int32).astype(jnp.uint32), exponent=exponent)


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


def total(w: Weights) -> Wide:
    """Return the sum along the last axis, in units."""
    lanes = units(*_in_lanes(w))
    return wide.total(Wide(*(part.reshape(*part.shape[:-2], -1) for part in lanes)))


def block_totals(w: Weights) -> Wide:
    """Return the sums of blocks of 256 weights each along the last axis, in units."""
    return units(*(jnp.sum(part, axis=-1, dtype=jnp.uint32) for part in _in_lanes(w)))


def _in_lanes(w: Weights) -> tuple[jax.Array, jax.Array]:
    def add_up(x: jax.Array, axis: int) -> jax.Array:
        return jnp.sum(x, axis=axis, dtype=jnp.uint32)

    return tiles.in_lanes(add_up, w.high, 0), tiles.in_lanes(add_up, w.low, 0)


def mass_above(keys: jax.Array, w: Weights) -> Wide:
    """Return for each key uint32 [B, V] of a short row the sum of the weights of larger keys, in units [B, V]."""
    return _added(totals_above(keys, w.high), totals_above(keys, w.low))


def mass_before(w: Weights) -> Wide:
    """Return for each weight the sum of those before it, in units [B, V]."""
    if is_short(w.low):
        return _added(totals_before(w.high), totals_before(w.low))
    own = units(w.high, w.low)
    return subtract(lax.associative_scan(add, own, axis=-1), own)


def _added(highs: list[jax.Array], lows: list[jax.Array]) -> Wide:
    sums = Wide(jnp.zeros_like(highs[0]), jnp.zeros_like(lows[0]))
    for high, low in zip(highs, lows, strict=True):
        sums = add(sums, units(high, low))
    return sums


def units(high: jax.Array, low: jax.Array) -> Wide:
    """Return high·2²³ + low."""
    return add(Wide(high >> (32 - LOW_BITS), high << LOW_BITS), Wide(jnp.zeros_like(low), low))


def share_of_max(whole: Wide, exponent: int) -> jax.Array:
    """Return a number of units as float32: 1 is the largest weight."""
    scale = jnp.float32(2.0 ** (exponent - HIGH_BITS - LOW_BITS))
    return whole.high.astype(jnp.float32) * (scale * jnp.float32(2.0**32)) + whole.low.astype(jnp.float32) * scale


def row_sum(x: jax.Array) -> jax.Array:
    """Return the sum of each row of the nonnegative finite float32 `x` [B, V], right to the last bits of float32 at any V.

    Example:
      >>> import jax.numpy as jnp
      >>> row_sum(jnp.full((1, 1000), 0.125))
      Array([125.], dtype=float32)
    """
    top = jnp.maximum(jnp.max(x, axis=-1), jnp.float32(2.0**-80))
    exponent = (lax.bitcast_convert_type(top, jnp.int32) >> 23) - 126
    return unit_sum(x * _power_of_two(-exponent)[:, None]) * _power_of_two(exponent)


def unit_sum(x: jax.Array) -> jax.Array:
    """Return the sum of each row of the float32 `x` [B, V] from 0 to 1, right to V·2⁻⁴⁵ and the last bits of float32."""
    w = weights(x)
    return share_of_max(total(w), w.exponent)


def log_sum(whole: Wide, exponent: int) -> jax.Array:
    """Return ln of a number of units: 0 is the largest weight."""
    return jnp.log(share_of_max(whole, exponent))


def _power_of_two(exponent: jax.Array) -> jax.Array:
    """Return 2^exponent for int32 exponents of normal float32."""
    return lax.bitcast_convert_type((jnp.clip(exponent, -126, 127) + 127) << 23, jnp.float32)
