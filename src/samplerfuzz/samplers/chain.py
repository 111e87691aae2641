"""Stages one after another, computed in float32 throughout, and the whole chain as one compiled function of its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.core.registry import load, technique
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Filter, Info, Stage, State, in_dtype


@pytree
@dataclass(frozen=True)
class Chain:
    """Stages in order; called like one stage."""

    stages: tuple[Stage, ...]

    def __call__(self, logits: Any, state: State | None = None) -> tuple[jax.Array, State | None, tuple[Info, ...]]:
        """Apply every stage to what the one before it left; the diagnostics are a tuple, one entry a stage."""
        infos: list[Info] = []
        given = jnp.asarray(logits)
        out = given.astype(jnp.float32)
        for stage in self.stages:
            out, state, info = stage(out, state)
            infos.append(info)
        return in_dtype(out, given.dtype), state, tuple(infos)

    def begin(self, state: State) -> State:
        """Return the state with every stage's memory made afresh: before the first step, or to reset."""
        rows = state.lengths.shape[0]
        return replace(state, memory={stage.memory_name: stage.begin(rows) for stage in self.stages if stage.memory_name})

    def accept(self, state: State, tokens: jax.Array, infos: tuple[Info, ...]) -> State:
        """Return the state after one step: the tokens appended, every stage's memory brought up to date.

        Args:
          state: what the step was given; `begin` it once before the first step, so that its structure never changes.
          tokens: int32 [B], what was taken; a negative one leaves its row's memory as it is.
          infos: what calling the chain said of the step.

        Example:
          >>> import jax.numpy as jnp
          >>> from samplerfuzz import samplers
          >>> step = samplers.chain(samplers.mirostat(1.0, 0.5))
          >>> state = step.begin(samplers.State(jnp.zeros((1, 4), jnp.int32), jnp.zeros(1, jnp.int32)))
          >>> _, _, infos = step(jnp.log(jnp.array([[0.25, 0.25, 0.5]])), state)
          >>> step.accept(state, jnp.array([1], jnp.int32), infos).memory["mirostat"]
          Array([1.5], dtype=float32)
        """
        rows = state.lengths.shape[0]
        memory = {
            stage.memory_name: stage.accept(stage.recall(state, rows), tokens, info)
            for stage, info in zip(self.stages, infos, strict=True)
            if stage.memory_name
        }
        return replace(state.append(tokens), memory=memory)


def chain(*stages: Stage | Chain) -> Chain:
    """Compose stages, first to last; chains among them are spliced in.

    Example:
      >>> import jax.numpy as jnp
      >>> from samplerfuzz import samplers
      >>> step = samplers.chain(samplers.temperature(2.0), samplers.top_k(2))
      >>> step(jnp.array([[4.0, 2.0, 0.0]]))[0]
      Array([[ -0.,  -1., -inf]], dtype=float32)
    """
    flat: list[Stage] = []
    for stage in stages:
        flat.extend(stage.stages if isinstance(stage, Chain) else [stage])
    return Chain(tuple(flat))


def build(order: Sequence[str], params: Mapping[str, Any]) -> Chain:
    """Build the chain of the named techniques from parameters by name.

    Args:
      order: technique names, first to last.
      params: every parameter of every stage, scalar or [B]; biases and lists of ids dense. What is optional may be left out.
        `min_tokens_to_keep` is a parameter of every filter of the chain.

    Raises:
      UsageError: an unknown technique.
      ParameterError: a parameter is missing, or one is given that no stage of the order reads.
    """
    unread = set(params)
    stages: list[Stage | Chain] = []
    for name in order:
        constructor = load(technique(name).sampler)
        signature = inspect.signature(constructor).parameters
        given = {key: params[key] for key in signature if key in params}
        missing = [key for key, item in signature.items() if item.default is inspect.Parameter.empty and key not in given]
        if missing:
            raise ParameterError(f"stage {name!r} needs {', '.join(missing)}; given: {', '.join(sorted(params)) or 'nothing'}")
        unread -= set(given)
        stage = constructor(**given)
        if isinstance(stage, Filter) and "min_tokens_to_keep" in params:
            stage = stage.keeping(params["min_tokens_to_keep"])
            unread -= {"min_tokens_to_keep"}
        stages.append(stage)
    if unread:
        raise ParameterError(f"no stage of {tuple(order)} reads {', '.join(sorted(unread))}; leave it out or add its stage")
    return chain(*stages)


def apply(
    order: Sequence[str], params: Mapping[str, Any], logits: Any, *, history: Any = None, history_lengths: Any = None, prompt_lengths: Any = None
) -> jax.Array:  # fmt: skip
    """Return the logits after the named chain, compiled once for each order and shape, whatever the values.

    Args:
      order: technique names, first to last.
      params: parameters by name, scalar or [B].
      logits: [B, V] or [V].
      history: [B, T] int32, the tokens so far, padded at the end; None when no stage reads them.
      history_lengths: [B] int32; None when every row of `history` is full.
      prompt_lengths: [B] int32, how many of those tokens are the prompt's; None when nothing asks.

    Returns:
      logits of the shape and dtype given, computed in float32, removed tokens −inf.

    Raises:
      UsageError, ParameterError: see `build`.

    Example:
      >>> import jax.numpy as jnp
      >>> apply(("top_k",), {"top_k": 1}, jnp.array([[1.0, 3.0, 2.0]]))
      Array([[-inf,   3., -inf]], dtype=float32)
    """
    state = None
    if history is not None:
        ids = jnp.asarray(history, jnp.int32)
        lengths = jnp.full(ids.shape[:1], ids.shape[1], jnp.int32) if history_lengths is None else jnp.asarray(history_lengths, jnp.int32)
        state = State(ids, lengths, None if prompt_lengths is None else jnp.asarray(prompt_lengths, jnp.int32))
    return _run(build(order, params), jnp.asarray(logits), state)


@jax.jit
def _run(steps: Chain, logits: jax.Array, state: State | None) -> jax.Array:
    return steps(logits, state)[0]
