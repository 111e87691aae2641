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
_HEIGHT = 8  # a loop of so few turns is written out, and the one along the row works on many numbers at a time


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


def swept(terms: Callable[..., list[jax.Array]], columns: Sequence[jax.Array], numbers: Sequence[jax.Array] = ()) -> list[jax.Array]:
    """Return the sums along the row of several terms of several columns, in one read of them all. Float32 sums are right to about 1e-6.

    Args:
      terms: takes a part of each column of one row and the numbers of that row; returns the terms of that part, each of its shape.
      columns: each [B, V].
      numbers: each [B].

    Returns:
      The sums, each [B], in the dtype of its terms.

    Example:
      >>> import jax.numpy as jnp
      >>> x = jnp.arange(1000.0)[None]
      >>> swept(lambda x, y: [x * y, (x > 989).astype(jnp.int32)], [x], [jnp.array([2.0])])
      [Array([999000.], dtype=float32), Array([10], dtype=int32)]
    """
    return jax.vmap(lambda columns, numbers: _swept(lambda *parts: terms(*parts, *numbers), columns))(list(columns), list(numbers))


def _swept(terms: Callable[..., list[jax.Array]], columns: Sequence[jax.Array]) -> list[jax.Array]:
    """Return the sums for columns [V]: those of eight parts that lie one above the other first, each of them along the row."""
    length = columns[0].size // _HEIGHT
    if length < _HEIGHT:
        return _added(terms(*columns))
    above = _added(terms(*(x[: _HEIGHT * length].reshape(_HEIGHT, length) for x in columns)))
    sums = _swept(lambda *parts: list(parts), lax.optimization_barrier(above))
    if columns[0].size % _HEIGHT == 0:
        return sums
    rest = _added(terms(*(x[_HEIGHT * length :] for x in columns)))
    return [total + more for total, more in zip(sums, rest, strict=True)]


def _added(parts: list[jax.Array]) -> list[jax.Array]:
    """Return the sums of all parts along the first axis by one reduction, which XLA makes one loop of."""
    none = [jnp.zeros((), part.dtype) for part in parts]
    return list(lax.reduce(parts, none, lambda a, b: [x + y for x, y in zip(a, b, strict=True)], (0,)))


def largest(x: jax.Array) -> jax.Array:
    """Return the largest of unsigned numbers along the last axis."""
    return _reduced(jnp.max, x, 0)


def _reduced(reduce: Callable[..., jax.Array], x: jax.Array, fill: int) -> jax.Array:
    while x.shape[-1] > TILE:
        lanes = in_lanes(reduce, x, fill)
        x = lax.optimization_barrier(lanes.reshape(*lanes.shape[:-2], -1))  # else XLA makes one long reduction of all again
    return reduce(x, axis=-1)
