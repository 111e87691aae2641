"""The largest tokens of a row, found in one read of it.

The row is cut into groups of neighbours, and the groups with the largest maxima are taken, 64 for instance. Every token left out is at most the largest
maximum left out: that is the bar. The tokens above the bar, usually a few more than there are groups, are the shortlist. Where large tokens lie together there may be too many of them; then the
bar is a larger maximum. It is exact: nothing above the bar is missing. A stage that keeps only tokens above the bar gives the same on the shortlist as on the row, since a
removed token may as well not be there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from samplerfuzz.samplers.keys import SHORT, sortable, totals_before, value
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.tiles import TILE, count, largest, tiled

_BARS = np.array([1, 3 / 4, 9 / 16, 3 / 8])  # which of the maxima, in falling order and as a share of the groups, may be the bar
_LEAST_NORMAL = np.float32(2.0**-126)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many groups are taken, and for how many tokens there is room; the bar is one of them. `factor`: how much longer a row has to be."""

    groups: int
    length: int
    factor: float

    def pays(self, vocabulary: int) -> bool:
        """Return whether such a shortlist leaves out enough of a row."""
        return vocabulary > self.factor * self.groups * TILE * tiles_in_group(vocabulary)


SHORTEST = Size(groups=64, length=SHORT, factor=4)
SIZES = (SHORTEST, Size(groups=224, length=4 * SHORT, factor=1.5))


@pytree
@dataclass(frozen=True)
class Shortlist:
    """Some tokens of each row in the order of their ids, behind one that stands for the rest."""

    logits: jax.Array  # [B, length] float32: the bar, which no other token exceeds, then the tokens above it, then −inf
    ids: jax.Array  # [B, length] int32
    complete: jax.Array  # [B] bool: whether all tokens above the bar are there
    poisoned: jax.Array  # [B] bool: whether the row holds a NaN


def shortlist(z: jax.Array, size: Size = SHORTEST) -> Shortlist:
    """Return the tokens of float32 z [B, V] that exceed the largest maximum of the groups that are left out; the size `pays` at V.

    Example:
      >>> import jax.numpy as jnp
      >>> ids = jnp.arange(9000.0)[None]
      >>> short = shortlist(jnp.where(ids % 90 == 0, ids, 0.0))
      >>> float(short.logits[0, 0]), short.ids[0, 1:3].tolist(), bool(short.complete[0])
      (3150.0, [3240, 3330], True)
    """
    rows, vocabulary = z.shape
    width = TILE * tiles_in_group(vocabulary)
    # the barriers keep XLA from making one long reduction of two, and a sort of the selection
    best = lax.optimization_barrier(jnp.max(tiled(sortable(z), TILE, 0), axis=-1))
    best = lax.optimization_barrier(jnp.max(tiled(best, width // TILE, 0), axis=-1))
    poisoned = largest(best) > sortable(jnp.float32(jnp.inf))
    maxima, groups = lax.optimization_barrier(lax.top_k(value(jnp.where(poisoned[:, None], jnp.uint32(0), best)), size.groups + 1))
    groups = jnp.sort(groups[:, : size.groups], axis=-1)
    ids = (groups[:, :, None] * width + jnp.arange(width, dtype=jnp.int32)[None, None]).reshape(rows, -1)
    candidates = jnp.where(ids < vocabulary, taken(z, jnp.minimum(ids, vocabulary - 1)), -jnp.inf)
    bar = _bar(candidates, maxima[:, np.round(_BARS * size.groups).astype(int)], size.length)
    at, found = marked(sortable(candidates) > sortable(bar), size.length - 1)
    there = jnp.arange(size.length - 1, dtype=jnp.int32)[None] < found[:, None]
    return Shortlist(
        logits=jnp.concatenate([bar, jnp.where(there, taken(candidates, at), -jnp.inf)], axis=-1),
        ids=jnp.concatenate([jnp.full((rows, 1), -1, jnp.int32), taken(ids, at)], axis=-1),
        complete=found < size.length,
        poisoned=poisoned,
    )


def _bar(candidates: jax.Array, bars: jax.Array, length: int) -> jax.Array:
    """Return the first of the bars [B, n] that no more tokens exceed than there is room for, or the last [B, 1]."""
    # subnormal maxima may have been compared as zeros
    bars = jnp.where(jnp.abs(bars) < _LEAST_NORMAL, _LEAST_NORMAL, bars)
    fits = count(sortable(candidates)[:, None] > sortable(bars)[:, :, None]) < length
    first = jnp.argmax(fits | (jnp.arange(bars.shape[1]) == bars.shape[1] - 1)[None], axis=-1)
    return taken(bars, first[:, None])


def tiles_in_group(vocabulary: int) -> int:
    """Return how many tiles of 32 tokens make a group: few enough to leave most of the row out, enough that the groups are few."""
    return 1 << max(0, round(math.log2(vocabulary / 2**15) / 2))


def marked(mask: jax.Array, room: int) -> tuple[jax.Array, jax.Array]:
    """Return the positions int32 [B, room] of the first true entries of mask [B, n], and how many there are [B]. Positions beyond that mean nothing.

    The mask is packed in words of 32 bits, of which the ones are counted: first the word is found, then the bit.

    Example:
      >>> import jax.numpy as jnp
      >>> at, found = marked(jnp.arange(64)[None] % 20 == 3, 4)
      >>> at.tolist(), found.tolist()
      ([[3, 23, 43, 63]], [4])
    """
    bits = jnp.arange(TILE, dtype=jnp.uint32)
    words = jnp.sum(tiled(mask.astype(jnp.uint32), TILE, 0) << bits[None, None], axis=-1, dtype=jnp.uint32)
    ones = lax.population_count(words)
    before = sum(totals_before(ones), start=jnp.zeros_like(ones))
    upto = before + ones
    wanted = jnp.broadcast_to(jnp.arange(room, dtype=jnp.uint32), (mask.shape[0], room))
    tiles = (upto[:, begin : begin + TILE, None] for begin in range(0, upto.shape[-1], TILE))
    word = jnp.minimum(sum(jnp.sum(tile <= wanted[:, None], axis=1, dtype=jnp.int32) for tile in tiles), words.shape[-1] - 1)
    return word * TILE + nth_one(taken(words, word), (wanted - taken(before, word)).astype(jnp.int32)), upto[:, -1].astype(jnp.int32)


def nth_one(word: jax.Array, n: jax.Array) -> jax.Array:
    """Return the position int32 of the n-th one, counted from 0, among the bits of a uint32; 31 where there are fewer.

    Example:
      >>> import jax.numpy as jnp
      >>> int(nth_one(jnp.uint32(0b101100), jnp.int32(1)))
      3
    """
    position = jnp.zeros_like(n)
    for half in (16, 8, 4, 2, 1):
        ones = lax.population_count(word & jnp.uint32((1 << half) - 1)).astype(jnp.int32)
        above = n >= ones
        n, word = jnp.where(above, n - ones, n), jnp.where(above, word >> half, word)
        position += jnp.where(above, half, 0)
    return position


def taken(x: jax.Array, at: jax.Array) -> jax.Array:
    """Return x [B, n] at the positions [B, m], all of which exist."""
    return jax.vmap(lambda row, i: row.at[i].get(mode="promise_in_bounds", wrap_negative_indices=False))(x, at)
