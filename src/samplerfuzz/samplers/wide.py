"""Unsigned 64-bit integers as pairs of uint32, because a sampler may not ask its user to switch 64-bit mode on."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from samplerfuzz.samplers import tiles


class Wide(NamedTuple):
    """The integer high·2³² + low, elementwise."""

    high: jax.Array  # uint32
    low: jax.Array  # uint32


def at_least(a: Wide, b: Wide) -> jax.Array:
    """Return a ≥ b."""
    return (a.high > b.high) | ((a.high == b.high) & (a.low >= b.low))


def add(a: Wide, b: Wide) -> Wide:
    """Return a + b modulo 2⁶⁴."""
    low = a.low + b.low
    return Wide(a.high + b.high + (low < a.low).astype(jnp.uint32), low)


def subtract(a: Wide, b: Wide) -> Wide:
    """Return a − b modulo 2⁶⁴."""
    return Wide(a.high - b.high - (a.low < b.low).astype(jnp.uint32), a.low - b.low)


def total(a: Wide) -> Wide:
    """Return the sum along the last axis, of up to 2¹⁶ numbers, modulo 2⁶⁴."""
    upper, lower = tiles.total(a.low >> 16), tiles.total(a.low & jnp.uint32(0xFFFF))
    return add(Wide(tiles.total(a.high) + (upper >> 16), upper << 16), Wide(jnp.zeros_like(lower), lower))


def fraction(x: jax.Array) -> Wide:
    """Return ⌊x·2⁶⁴⌋ for float32 x in [0, 1)."""
    scaled = x * jnp.float32(2.0**32)
    whole = jnp.floor(scaled)
    rest = jnp.floor((scaled - whole) * jnp.float32(2.0**32))
    return Wide(whole.astype(jnp.uint32), rest.astype(jnp.uint32))


def share(part: Wide, of: Wide) -> Wide:
    """Return ⌊part·of / 2⁶⁴⌋: the fraction part/2⁶⁴ of a whole number, exactly.

    Example:
      >>> import jax.numpy as jnp
      >>> ten = Wide(jnp.uint32(0), jnp.uint32(10))
      >>> int(share(fraction(jnp.float32(0.75)), ten).low)
      7
    """
    columns = [jnp.zeros_like(part.high ^ of.high) for _ in range(9)]
    for i, a in enumerate(_digits(part)):
        for j, b in enumerate(_digits(of)):
            product = a * b
            columns[i + j] += product & jnp.uint32(0xFFFF)
            columns[i + j + 1] += product >> 16
    for i in range(8):
        columns[i + 1] += columns[i] >> 16
        columns[i] &= jnp.uint32(0xFFFF)
    return Wide(columns[7] << 16 | columns[6], columns[5] << 16 | columns[4])


def _digits(a: Wide) -> list[jax.Array]:
    """Return the four 16-bit digits, lowest first."""
    return [a.low & jnp.uint32(0xFFFF), a.low >> 16, a.high & jnp.uint32(0xFFFF), a.high >> 16]
