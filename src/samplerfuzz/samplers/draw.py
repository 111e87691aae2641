"""The draw: one token a row from softmax(z), exact far into the tail.

Inverse of the cumulative distribution in index order, in fixed point: the weights are whole numbers of units of at most 2⁻⁴⁴ of the total (module
mass), their running sums are exact, and a 64-bit uniform picks among them. So each token has its probability to within 2⁻⁴⁴ absolute, where
Gumbel noise from 24 bits bends everything below 1e-7, and where a running float32 sum loses the tail beside the head. A token is chosen
only if its own weight is not zero: the last index of the search is the last token with p > 0 by construction. A token below 2⁻⁴⁴ is never drawn.

The draw of a row depends on the key, its row number and its logits; masked padding of the vocabulary or more rows change nothing.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.samplers.keys import is_short
from samplerfuzz.samplers.mass import Weights, below_max, block_totals, log_sum, mass_before, units, weights
from samplerfuzz.samplers.rows import replaced
from samplerfuzz.samplers.shortlist import SHORTEST, shortlist, taken
from samplerfuzz.samplers.stage import Info
from samplerfuzz.samplers.tiles import BLOCK, TILE, count, tiled
from samplerfuzz.samplers.wide import Wide, add, at_least, fraction, share, subtract, total

NOTHING = -1


def draw(key: jax.Array, logits: Any) -> tuple[jax.Array, Info]:
    """Draw one token a row from softmax(logits).

    Args:
      key: a JAX random key, or one for each row [B].
      logits: [B, V] or [V], any float dtype; −inf marks a masked token.

    Returns:
      Tokens int32 [B] (or []), −1 for a row with nothing to draw from (all −inf, or a NaN); diagnostics: surprisal in nats (NaN with −1).

    Policy: +inf logits share everything; a masked token is never drawn. The randomness is 64 bits a row whatever the dtype of the logits.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> draw(jax.random.key(0), jnp.array([[-jnp.inf, 0.0], [-jnp.inf, -jnp.inf]]))[0]
      Array([ 1, -1], dtype=int32)
    """
    z = _rows(logits)
    return _choose(random_fractions(key, z.shape[0]), z, jnp.zeros(z.shape[0], bool), shape=jnp.shape(logits)[:-1])


def draw_from_uniform(u: ArrayLike | tuple[ArrayLike, ArrayLike], logits: Any) -> tuple[jax.Array, Info]:
    """Return the token at which the cumulative distribution, in index order, first exceeds u.

    min { i : p_0 + … + p_i > u }.

    Args:
      u: in [0, 1), scalar or [B]: float32, or a pair (high, low) of float32 whose sum is the number, or NumPy float64, split for you.
      logits: [B, V] or [V].

    Returns:
      As `draw`; also −1 where u lies outside [0, 1) or is NaN.

    Policy: the last index is the last token with p > 0, so no u falls off the end.

    Example:
      >>> import jax.numpy as jnp
      >>> draw_from_uniform(0.75, jnp.log(jnp.array([0.5, 0.25, 0.25])))[0]
      Array(2, dtype=int32)
    """
    z = _rows(logits)
    high, low = (jnp.broadcast_to(part, (z.shape[0],)) for part in _split(u))
    outside = ~((high >= 0) & (high <= 1) & ((high < 1) | (low < 0)) & ((high > 0) | (low >= 0)))
    size = fraction(jnp.where(outside, 0.0, jnp.abs(low)))
    base = fraction(jnp.where(outside | (high >= 1), 0.0, high))  # 1 is 0 modulo 2⁶⁴, and low is negative there
    up, down = add(base, size), subtract(base, size)
    return _choose(Wide(*(jnp.where(low < 0, d, u) for d, u in zip(down, up, strict=True))), z, outside, shape=jnp.shape(logits)[:-1])


@partial(jax.jit, static_argnames="rows")
def random_fractions(key: jax.Array, rows: int) -> Wide:
    """Return 64 random bits a row: from the key and the row number, or from a key a row."""
    one_key = key.ndim == (0 if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else 1)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(rows, dtype=jnp.uint32)) if one_key else key
    bits = jax.vmap(lambda k: jax.random.bits(k, (2,), jnp.uint32))(keys)
    return Wide(bits[:, 0], bits[:, 1])


def _split(u: Any) -> tuple[jax.Array, jax.Array]:
    """Return u as two float32 numbers with the sum u."""
    if isinstance(u, tuple):
        return jnp.asarray(u[0], jnp.float32), jnp.asarray(u[1], jnp.float32)
    if isinstance(u, jax.Array):
        return u.astype(jnp.float32), jnp.zeros(u.shape, jnp.float32)
    exact = np.asarray(u, np.float64)
    high = exact.astype(np.float32)
    return jnp.asarray(high), jnp.asarray((exact - high).astype(np.float32))


def _rows(logits: Any) -> jax.Array:
    z = jnp.asarray(logits)
    if z.ndim not in (1, 2) or z.shape[-1] == 0 or not jnp.issubdtype(z.dtype, jnp.floating):
        raise ParameterError(f"logits have shape {z.shape} and dtype {z.dtype}; expected floats [B, V] or [V] with V ≥ 1")
    return z.astype(jnp.float32).reshape(-1, z.shape[-1])


@partial(jax.jit, static_argnames="shape")
def _choose(uniform: Wide, z: jax.Array, refused: jax.Array, *, shape: tuple[int, ...]) -> tuple[jax.Array, Info]:
    empty = refused | jnp.any(jnp.isnan(z), axis=-1) | jnp.all(z == -jnp.inf, axis=-1)
    full = jnp.where(empty[:, None], 0.0, z)
    if SHORTEST.pays(z.shape[-1]):
        short = shortlist(z)
        few = short.complete & (short.logits[:, 0] == -jnp.inf)
        place, surprisal = choose(uniform, jnp.where(empty[:, None], 0.0, short.logits))
        token, surprisal = replaced(
            (taken(short.ids, place[:, None])[:, 0], surprisal), ~few & ~empty, lambda given: choose(*given), (uniform, full)
        )
    else:
        token, surprisal = choose(uniform, full)
    surprisal = jnp.where(empty, jnp.nan, surprisal)
    return jnp.where(empty, NOTHING, token).reshape(shape), {"surprisal": surprisal.reshape(shape)}


def choose(uniform: Wide, z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the index int32 [B] at the 64-bit fraction `uniform` [B] of softmax(z) for z [B, V] with something to draw from, and its surprisal [B]."""
    gap = below_max(z)
    w = weights(jnp.exp(gap))
    token, everything = (_found_at_once if is_short(gap) else _found_by_descent)(w, uniform)
    drawn = jnp.take_along_axis(gap, token[:, None], axis=-1)[:, 0]
    return token, log_sum(everything, w.exponent) - drawn


def _found_at_once(w: Weights, uniform: Wide) -> tuple[jax.Array, Wide]:
    """Return the token and the total, from all running sums."""
    upto = add(mass_before(w), units(w.high, w.low))
    everything = Wide(*(part[:, -1] for part in upto))
    return _passed(upto, share(uniform, everything)), everything


def _found_by_descent(w: Weights, uniform: Wide) -> tuple[jax.Array, Wide]:
    """Return the token and the total, from the sums of blocks, of tiles of blocks and so on, from the top down."""
    sums = [block_totals(w)]
    while sums[-1].low.shape[-1] > TILE:
        sums.append(total(_tiles_of(sums[-1])))
    everything = total(sums[-1])
    at, rest = _first_beyond(sums.pop(), share(uniform, everything))
    while sums:
        at, rest = _inside(at, _tiles_of(sums.pop()), rest)
    block = units(*(jnp.take_along_axis(tiled(part, BLOCK, 0), at[:, None, None], axis=1)[:, 0] for part in (w.high, w.low)))
    tile, rest = _first_beyond(total(_tiles_of(block)), rest)
    inside, _ = _inside(tile, _tiles_of(block), rest)
    return at * BLOCK + inside, everything


def _tiles_of(sums: Wide) -> Wide:
    return Wide(*(tiled(part, TILE, 0) for part in sums))


def _inside(tile: jax.Array, children: Wide, target: Wide) -> tuple[jax.Array, Wide]:
    """Return the first child of the tile [B] whose running sum exceeds `target`, and what is left of the target there."""
    own = Wide(*(jnp.take_along_axis(part, tile[:, None, None], axis=1)[:, 0] for part in children))
    index, rest = _first_beyond(own, target)
    return tile * TILE + index, rest


def _first_beyond(parts: Wide, target: Wide) -> tuple[jax.Array, Wide]:
    """Return the first index int32 [B] of at most 32 whose running sum exceeds `target` [B], and the target less the sums before it."""
    size = parts.low.shape[-1]
    earlier = jnp.tril(jnp.ones((size, size), bool))[None]
    upto = total(Wide(*(jnp.where(earlier, part[:, None, :], jnp.uint32(0)) for part in parts)))
    passed = at_least(_column(target), upto)
    before = total(Wide(*(jnp.where(passed, part, jnp.uint32(0)) for part in parts)))
    return count(passed), subtract(target, before)


def _passed(upto: Wide, target: Wide) -> jax.Array:
    """Return how many running sums [B, n] do not exceed the target [B]."""
    return count(at_least(_column(target), upto))


def _column(a: Wide) -> Wide:
    return Wide(a.high[:, None], a.low[:, None])
