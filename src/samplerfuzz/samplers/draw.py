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
from samplerfuzz.samplers.mass import Weights, below_max, softmax_weights, total, units
from samplerfuzz.samplers.stage import Info
from samplerfuzz.samplers.wide import Wide, add, at_least, fraction, share, subtract

NOTHING = -1
_BLOCK = 256


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
    return _choose(_uniform_bits(key, z.shape[0]), z, jnp.zeros(z.shape[0], bool), shape=jnp.shape(logits)[:-1])


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
def _uniform_bits(key: jax.Array, rows: int) -> Wide:
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
    """Return the token at the 64-bit fraction `uniform` of the total of each row."""
    empty = refused | jnp.any(jnp.isnan(z), axis=-1) | jnp.all(z == -jnp.inf, axis=-1)
    gap = below_max(jnp.where(empty[:, None], 0.0, z))
    w = softmax_weights(gap)
    everything = total(w)
    token = _first_beyond(w, share(uniform, everything))
    drawn = jnp.take_along_axis(gap, token[:, None], axis=-1)[:, 0]
    surprisal = jnp.where(empty, jnp.nan, _log_units(everything, w) - drawn)
    return jnp.where(empty, NOTHING, token).reshape(shape), {"surprisal": surprisal.reshape(shape)}


def _first_beyond(w: Weights, target: Wide) -> jax.Array:
    """Return the first index int32 [B] whose running sum exceeds `target`, a block at a time and then inside the block."""
    rows, vocabulary = w.high.shape
    blocks = -(-vocabulary // _BLOCK)
    padding = ((0, 0), (0, blocks * _BLOCK - vocabulary))
    high, low = (jnp.pad(part, padding).reshape(rows, blocks, _BLOCK) for part in (w.high, w.low))
    zero = jnp.zeros((rows,), jnp.uint32)
    block, before_high, before_low = _search(
        jnp.sum(high, -1, dtype=jnp.uint32), jnp.sum(low, -1, dtype=jnp.uint32), zero, zero, target, w.low_bits
    )
    inner_high, inner_low = (jnp.take_along_axis(part, block[:, None, None], axis=1)[:, 0] for part in (high, low))
    inside, _, _ = _search(inner_high, inner_low, before_high, before_low, target, w.low_bits)
    return block * _BLOCK + inside


def _search(
    high: jax.Array, low: jax.Array, from_high: jax.Array, from_low: jax.Array, target: Wide, low_bits: int
) -> tuple[jax.Array, ...]:
    """Return the first index whose running sum exceeds `target`, and the sums before it."""
    sum_high = jnp.cumsum(high, axis=-1, dtype=jnp.uint32) + from_high[:, None]
    sum_low = jnp.cumsum(low, axis=-1, dtype=jnp.uint32) + from_low[:, None]
    beyond = ~at_least(Wide(target.high[:, None], target.low[:, None]), units(sum_high, sum_low, low_bits))
    index = jnp.argmax(beyond, axis=-1).astype(jnp.int32)
    at = index[:, None]
    before = [(jnp.take_along_axis(s - part, at, axis=-1))[:, 0] for s, part in ((sum_high, high), (sum_low, low))]
    return index, *before


def _log_units(whole: Wide, w: Weights) -> jax.Array:
    """Return ln of a sum of weights."""
    value = whole.high.astype(jnp.float32) + whole.low.astype(jnp.float32) * jnp.float32(2.0**-32)
    shift = (w.exponent - 31 - w.low_bits + 32).astype(jnp.float32)
    return jnp.log(value) + shift * jnp.float32(0.6931471805599453)
