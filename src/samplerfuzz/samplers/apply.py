"""A chain named by its order, compiled once for each order and shape and for no parameter value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax

from samplerfuzz.core.registry import load, technique
from samplerfuzz.samplers.chain import Chain
from samplerfuzz.samplers.stage import Array, State


def apply(order: Sequence[str], parameters: Mapping[str, Any], logits: Any, *, history: Any = None, history_lengths: Any = None) -> Array:
    """Return the processed logits [B, V] of the chain `order`.

    Args:
      order: stage names.
      parameters: name -> scalar or [B] (logit_bias: [V] or [B, V]); what is not given takes its default.
      logits: [B, V].
      history: [B, T] int32 or None; history_lengths: [B] int32.
    """
    known = {p.name for stage in order for p in technique(stage).parameters}
    return _applied(tuple(order), {name: value for name, value in parameters.items() if name in known}, logits, history, history_lengths)


@partial(jax.jit, static_argnums=0)
def _applied(order: tuple[str, ...], parameters: dict[str, Any], logits: Array, history: Array | None, lengths: Array | None) -> Array:
    stages = []
    for name in order:
        item = technique(name)
        stages.append(load(item.sampler)(**{p.name: parameters[p.name] for p in item.parameters if p.name in parameters}))
    return Chain(tuple(stages))(logits, State(history=history, lengths=lengths))[0]
