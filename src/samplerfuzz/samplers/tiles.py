"""Whole numbers summed and compared along a row, a tile at a time.

XLA writes out what feeds a reduction longer than 32 before it reduces it; a shorter one it fuses with what feeds it into one loop over the row, and that loop
works on several numbers at a time where the numbers reduced together do not lie side by side. So a row is cut into blocks of 32 times 8, of each block the 32 are
reduced, and the results likewise: one read of the row and nothing written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

TILE = 32
LANES = 8
BLOCK = TILE * LANES
_WIDE = 16


def tiled(x: jax.Array, size: int, fill: int | float) -> jax.Array:
    """Return x [..., V] as [..., ⌈V/size⌉, size], the last tile filled up."""
    short = -x.shape[-1] % size
    if short:
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, short)], constant_values=fill)
    return x.reshape(*x.shape[:-1], -1, size)


def in_lanes(reduce: Callable[..., jax.Array], x: jax.Array, fill: int | float) -> jax.Array:
    """Reduce x [..., V] to [..., ⌈V/256⌉, 8]: of each block every eighth number, from each of the first eight. A single block may be smaller."""
    height = min(TILE, -(-x.shape[-1] // LANES))
    blocks = tiled(x, height * LANES, fill)
    return reduce(blocks.reshape(*blocks.shape[:-1], height, LANES), axis=-2)


def total(x: jax.Array) -> jax.Array:
    """Return the sum of whole numbers along the last axis, in their dtype, modulo its size.

    Example:
      >>> import jax.numpy as jnp
      >>> int(total(jnp.arange(1000)))
      499500
    """
    return _reduced(lambda t, axis: jnp.sum(t, axis=axis, dtype=t.dtype), x, 0)


def count(mask: jax.Array) -> jax.Array:
    """Return how many are true along the last axis, int32."""
    return total(mask.astype(jnp.int32))


def swept(
    terms: Callable[..., list[jax.Array]], columns: Sequence[tuple[jax.Array, float]], numbers: Sequence[jax.Array]
) -> list[jax.Array]:
    """Return the sums along the row of several terms of several columns, in one read of them all. Float32 sums are right to about 1e-6.

    Args:
      terms: takes a part of each column of one row and the numbers of that row; returns the terms of that part, each of its shape.
      columns: each [B, V], with what it is filled up with: terms of these have to be 0.
      numbers: each [B].

    Returns:
      The sums, each [B], in the dtype of its terms.

    Example:
      >>> import jax.numpy as jnp
      >>> x = jnp.arange(1000.0)[None]
      >>> swept(lambda x, y: [x * y, (x > 989).astype(jnp.int32)], [(x, 0.0)], [jnp.array([2.0])])
      [Array([999000.], dtype=float32), Array([10], dtype=int32)]
    """
    fills = [fill for _, fill in columns]

    def of_one(columns: list[jax.Array], numbers: list[jax.Array]) -> list[jax.Array]:
        parts = terms(*(_blocks(x, fill) for x, fill in zip(columns, fills, strict=True)), *numbers)
        while parts[0].size > _WIDE:
            parts = [_blocks(part, 0) for part in lax.optimization_barrier([part.reshape(-1) for part in _added(parts, 1)])]
        return _added([part.reshape(-1) for part in parts], 0)

    return jax.vmap(of_one)([x for x, _ in columns], list(numbers))


def _blocks(x: jax.Array, fill: float) -> jax.Array:
    """Return x [V] as [n, height, lanes]: in each block every sixteenth number stands below another."""
    height = min(TILE, -(-x.size // _WIDE))
    return tiled(x, height * _WIDE, fill).reshape(-1, height, _WIDE)


def _added(parts: list[jax.Array], axis: int) -> list[jax.Array]:
    """Return the sums of all parts along an axis by one reduction, which XLA makes one loop of."""
    none = [jnp.zeros((), part.dtype) for part in parts]
    return list(lax.reduce(parts, none, lambda a, b: [x + y for x, y in zip(a, b, strict=True)], (axis,)))


def largest(x: jax.Array) -> jax.Array:
    """Return the largest of unsigned numbers along the last axis."""
    return _reduced(jnp.max, x, 0)


def _reduced(reduce: Callable[..., jax.Array], x: jax.Array, fill: int) -> jax.Array:
    while x.shape[-1] > TILE:
        lanes = in_lanes(reduce, x, fill)
        x = lax.optimization_barrier(lanes.reshape(*lanes.shape[:-2], -1))  # else XLA makes one long reduction of all again
    return reduce(x, axis=-1)
