"""Decoding on the device: one `lax.while_loop`, ended early when every row is done.

The sampler is passed in: `sample(params, key, logits, state) -> (tokens, state, info)`, pure and traceable, with
`logits` float32 `[B, V]`, `tokens` int32 `[B]`, and `state` and `info` any pytrees of fixed shapes. `params`, `key`, the end tokens
and the number of tokens are data, so one compilation serves all their values; `sample` itself is compiled in, so pass the same
function object every time. A row for which `sample` returns -1 (nothing can be drawn) stops there. The key of step n is `jax.random.fold_in(key, n)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.llama.cache import KVCache
from samplerfuzz.llama.forward import run_prefill, run_step
from samplerfuzz.llama.model import LlamaModel
from samplerfuzz.llama.prompts import bucket, checked_batch, pad_prompts

Sample = Callable[[Any, jax.Array, jax.Array, Any], tuple[jax.Array, Any, Any]]
AFTER_END = -1
_END_BUCKET = 8


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Decoding:
    """A generation under way. Donated from call to call."""

    cache: KVCache
    tokens: jax.Array  # [B, N] int32, -1 where nothing has been emitted
    last: jax.Array  # [B] int32, the newest token of each row, not yet in the cache
    done: jax.Array  # [B] bool, whether the row has ended or its sampler gave no token
    ended: jax.Array  # [B] bool, whether the row has emitted an end token
    step: jax.Array  # [] int32, tokens emitted by the longest row
    state: Any  # the sampler's
    info: Any  # the sampler's, stacked: every leaf [N, ...]


@dataclass(frozen=True, kw_only=True)
class Generated:
    """What a generation emitted, or a chunk of it."""

    tokens: np.ndarray  # [B, N] int32, the end token included, -1 after it
    counts: np.ndarray  # [B] int32, tokens emitted
    ended: np.ndarray  # [B] bool, whether an end token was emitted
    info: Any  # every leaf [N, ...], step first; of a row that has ended it means nothing
    state: Any  # the sampler's after the last step

    def rows(self) -> list[list[int]]:
        """Return each row's tokens as a list."""
        return [row[:count].tolist() for row, count in zip(self.tokens, self.counts, strict=True)]


def _record(
    decoding: Decoding, cache: KVCache, logits: jax.Array, sample: Sample, params: Any, key: jax.Array, ends: jax.Array
) -> Decoding:
    """Sample the next token of every row and write it down."""
    drawn, state, info = sample(params, jax.random.fold_in(key, decoding.step), logits, decoding.state)
    drawn = drawn.astype(jnp.int32)
    column = jnp.where(decoding.done, AFTER_END, drawn)
    is_token = (column >= 0) & (column < logits.shape[-1])
    ended = is_token & (drawn[:, None] == ends[None, :]).any(axis=-1)
    return Decoding(
        cache=cache,
        tokens=jax.lax.dynamic_update_slice(decoding.tokens, column[:, None], (0, decoding.step)),
        last=jnp.where(is_token, drawn, 0),
        done=decoding.done | ended | ~is_token,
        ended=decoding.ended | ended,
        step=decoding.step + 1,
        state=state,
        info=jax.tree.map(lambda all_steps, one: all_steps.at[decoding.step].set(one), decoding.info, info),
    )


def run_start(
    model: LlamaModel, ids: jax.Array, lengths: jax.Array, state: Any, params: Any, key: jax.Array, ends: jax.Array,
    *, sample: Sample, room: int, capacity: int,
) -> Decoding:  # fmt: skip
    """Prefill and sample the first token. `room` (static): tokens N that can be recorded."""
    logits, cache = run_prefill(model, ids, lengths, capacity)
    batch = ids.shape[0]
    _, _, info = jax.eval_shape(sample, params, key, logits, state)
    empty = Decoding(
        cache=cache,
        tokens=jnp.full((batch, room), AFTER_END, jnp.int32),
        last=jnp.zeros(batch, jnp.int32),
        done=jnp.zeros(batch, bool),
        ended=jnp.zeros(batch, bool),
        step=jnp.int32(0),
        state=state,
        info=jax.tree.map(lambda leaf: jnp.zeros((room, *leaf.shape), leaf.dtype), info),
    )
    return _record(empty, cache, logits, sample, params, key, ends)


def run_advance(
    model: LlamaModel, decoding: Decoding, params: Any, key: jax.Array, ends: jax.Array, until: jax.Array, *, sample: Sample
) -> Decoding:
    """Decode until `until` tokens are out or every row is done."""

    def unfinished(decoding: Decoding) -> jax.Array:
        return (decoding.step < until) & ~decoding.done.all()

    def emit(decoding: Decoding) -> Decoding:
        logits, cache = run_step(model, decoding.last, decoding.cache)
        return _record(decoding, cache, logits, sample, params, key, ends)

    return jax.lax.while_loop(unfinished, emit, decoding)


_start = jax.jit(run_start, static_argnames=("sample", "room", "capacity"))
_advance = jax.jit(run_advance, static_argnames="sample", donate_argnames="decoding")


def _end_tokens(eos_ids: Sequence[int]) -> np.ndarray:
    """Return the ids padded with -1, which no sampler emits, to a multiple of 8: one compilation for any of them."""
    ends = np.full(-(-max(len(eos_ids), 1) // _END_BUCKET) * _END_BUCKET, AFTER_END, np.int32)
    ends[: len(eos_ids)] = eos_ids
    return ends


def _view(decoding: Decoding, begin: int, vocab_size: int) -> Generated:
    end = int(decoding.step)
    tokens = np.array(decoding.tokens)[:, begin:end]
    wrong = tokens[(tokens < AFTER_END) | (tokens >= vocab_size)]
    if wrong.size:
        raise ParameterError(
            f"sample: returned the token {wrong[0]}; expected an id in [0, {vocab_size}), or -1 for a row it can draw nothing from"
        )
    return Generated(
        tokens=tokens,
        counts=(tokens != AFTER_END).sum(axis=1).astype(np.int32),
        ended=np.array(decoding.ended),
        info=jax.tree.map(lambda leaf: np.array(leaf[begin:end]), decoding.info),
        state=jax.tree.map(np.array, decoding.state),
    )


def stream(
    model: LlamaModel,
    prompts: Sequence[ArrayLike],
    *,
    sample: Sample,
    sampler_params: Any,
    key: jax.Array,
    max_new_tokens: int,
    eos_ids: Sequence[int] = (),
    sampler_state: Any = None,
    chunk: int = 1,
) -> Iterator[Generated]:
    """Generate and yield every `chunk` new tokens as they come; the first piece is one token.

    Arguments and errors are those of `generate`, raised at the call, not at the first piece.
    """
    ids, lengths = checked_batch(model.config, *pad_prompts(prompts))
    for name, value in (("max_new_tokens", max_new_tokens), ("chunk", chunk)):
        if value < 1:
            raise ParameterError(f"{name} = {value}: expected an integer >= 1")
    needed = int(lengths.max()) + max_new_tokens
    if needed > model.config.max_position:
        raise ParameterError(
            f"max_new_tokens = {max_new_tokens}: the longest prompt has {int(lengths.max())} tokens and the model {model.config.max_position} positions; "
            f"expected at most {model.config.max_position - int(lengths.max())}"
        )
    if not (isinstance(key, jax.Array) and jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim == 0):
        raise ParameterError(f"key: expected a JAX random key, as jax.random.key(seed) makes it, found {type(key).__name__}")
    ends = _end_tokens(eos_ids)

    def pieces() -> Iterator[Generated]:
        decoding = _start(
            model, ids, lengths, sampler_state, sampler_params, key, ends,
            sample=sample, room=bucket(max_new_tokens), capacity=bucket(ids.shape[1] + max_new_tokens),
        )  # fmt: skip
        shown = 0
        while True:
            yield _view(decoding, shown, model.config.vocab_size)
            shown = int(decoding.step)
            if shown >= max_new_tokens or bool(decoding.done.all()):
                return
            decoding = _advance(model, decoding, sampler_params, key, ends, np.int32(min(shown + chunk, max_new_tokens)), sample=sample)

    return pieces()


def generate(
    model: LlamaModel,
    prompts: Sequence[ArrayLike],
    *,
    sample: Sample,
    sampler_params: Any,
    key: jax.Array,
    max_new_tokens: int,
    eos_ids: Sequence[int] = (),
    sampler_state: Any = None,
) -> Generated:
    """Continue every prompt by up to `max_new_tokens` tokens, decoding in one loop on the device.

    Args:
        model: the model.
        prompts: B lists of token ids, lengths may differ.
        sample: see the module; pass the same function object to reuse the compilation.
        sampler_params: handed to `sample`; a pytree of arrays, traced.
        key: a JAX random key.
        max_new_tokens: at least 1; prompt and continuation fit in the model's positions.
        eos_ids: a row that emits one of them is done; the rows together stop early when all are.
        sampler_state: the first `state` of `sample`; a pytree of arrays.

    Returns:
        The tokens, and what the sampler said of every step.

    Raises:
        ParameterError: an empty prompt, an id outside the vocabulary, a text longer than the model's positions.
    """
    pieces = list(
        stream(
            model, prompts, sample=sample, sampler_params=sampler_params, key=key, max_new_tokens=max_new_tokens,
            eos_ids=eos_ids, sampler_state=sampler_state, chunk=max_new_tokens,
        )
    )  # fmt: skip
    tokens = np.concatenate([piece.tokens for piece in pieces], axis=1)
    return Generated(
        tokens=tokens,
        counts=(tokens != AFTER_END).sum(axis=1).astype(np.int32),
        ended=pieces[-1].ended,
        info=jax.tree.map(lambda *steps: np.concatenate(steps), *[piece.info for piece in pieces]),
        state=pieces[-1].state,
    )
