"""Three ways through the model: every position, a prompt into a cache, one more token.

`run_*` are pure and traceable; the public functions check their input on the host, pad to a bucket and call the compiled ones.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.llama.cache import KVCache, empty_cache
from samplerfuzz.llama.model import LlamaModel
from samplerfuzz.llama.prompts import bucket, checked_batch


def run_all(model: LlamaModel, token_ids: jax.Array) -> jax.Array:
    """Return logits float32 `[B, T, V]` of every position, without a cache."""
    return model.logits(model.hidden(token_ids))


def run_prefill(model: LlamaModel, token_ids: jax.Array, lengths: jax.Array, capacity: int) -> tuple[jax.Array, KVCache]:
    """Return the logits `[B, V]` after each row's last real token and a cache of `capacity` slots."""
    batch, width = token_ids.shape
    cache = empty_cache(model.config, batch=batch, capacity=capacity, dtype=model.dtype)
    x, cache = model.extend(token_ids, cache, window=width)
    last = x[jnp.arange(batch, dtype=jnp.int32), lengths - 1]
    return model.logits(last), KVCache(keys=cache.keys, values=cache.values, lengths=lengths)


def run_step(model: LlamaModel, tokens: jax.Array, cache: KVCache) -> tuple[jax.Array, KVCache]:
    """Return the logits `[B, V]` after `tokens` `[B]` and the cache with them in it."""
    x, cache = model.extend(tokens[:, None], cache, window=cache.capacity)
    return model.logits(x[:, 0]), KVCache(keys=cache.keys, values=cache.values, lengths=cache.lengths + 1)


_all = jax.jit(run_all)
_prefill = jax.jit(run_prefill, static_argnames="capacity")
_step = jax.jit(run_step, donate_argnames="cache")


def logits_all(model: LlamaModel, token_ids: ArrayLike, lengths: ArrayLike | None = None) -> jax.Array:
    """Return the logits of every position, float32 `[B, T, V]`; positions at or after a row's length mean nothing.

    Args:
        model: the model.
        token_ids: integers `[B, T]`, right-padded with anything.
        lengths: real tokens of each row `[B]`, in [1, T]; None: all T.

    Raises:
        ParameterError: see `checked_batch`.
    """
    ids, _ = checked_batch(model.config, token_ids, lengths)
    width = np.shape(token_ids)[1]
    logits = _all(model, jnp.asarray(ids))[:, :width]
    return jnp.pad(logits, ((0, 0), (0, width - logits.shape[1]), (0, 0)))


def prefill(
    model: LlamaModel, token_ids: ArrayLike, lengths: ArrayLike | None = None, *, capacity: int | None = None
) -> tuple[jax.Array, KVCache]:
    """Run prompts and return the logits float32 `[B, V]` of each row's next token, and the cache to go on from.

    Args:
        model: the model.
        token_ids: integers `[B, T]`, right-padded with anything.
        lengths: real tokens of each row `[B]`, in [1, T]; None: all T.
        capacity: positions the cache must hold; rounded up to a bucket. None: the prompt's own.

    Raises:
        ParameterError: see `checked_batch`; a capacity below the longest prompt or beyond the model's positions.
    """
    ids, sizes = checked_batch(model.config, token_ids, lengths)
    longest = int(sizes.max())
    wanted = longest if capacity is None else capacity
    if not longest <= wanted <= model.config.max_position:
        raise ParameterError(
            f"capacity = {wanted}: expected at least the longest prompt, {longest}, and at most {model.config.max_position} positions"
        )
    return _prefill(model, jnp.asarray(ids), jnp.asarray(sizes), max(bucket(wanted), ids.shape[1]))


def decode_step(model: LlamaModel, tokens: ArrayLike, cache: KVCache) -> tuple[jax.Array, KVCache]:
    """Append one token to each row and return the logits float32 `[B, V]` of the next, and the cache.

    `cache` is donated: it is gone after the call, use the one returned.

    Args:
        model: the model.
        tokens: integers `[B]` in [0, V).
        cache: from `prefill` or an earlier step.

    Raises:
        ParameterError: tokens of another shape or outside the vocabulary, a row of the cache that is full.
    """
    ids = np.asarray(tokens)
    if ids.shape != cache.lengths.shape or not np.issubdtype(ids.dtype, np.integer):
        raise ParameterError(f"tokens: expected integers of shape {cache.lengths.shape}, found shape {ids.shape} of {ids.dtype}")
    if ids.min() < 0 or ids.max() >= model.config.vocab_size:
        raise ParameterError(f"tokens: expected ids in [0, {model.config.vocab_size}), found {ids.tolist()}")
    if int(cache.lengths.max()) >= cache.capacity:
        raise ParameterError(f"cache: all {cache.capacity} positions of a row are used; give prefill a larger capacity")
    return _step(model, jnp.asarray(ids, jnp.int32), cache)
