"""Beliefs for whole chains: stage after stage, from the definition, under one reading."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from samplerfuzz.core.registry import load, technique
from samplerfuzz.oracle.belief import Belief, Precision, start
from samplerfuzz.oracle.conventions import Reading, read
from samplerfuzz.oracle.history import History
from samplerfuzz.oracle.keeping import spared
from samplerfuzz.oracle.memory import NOTHING, Memory

LEAST = "min_tokens_to_keep"
Memories = Mapping[str, Memory]


def believe(
    logits: np.ndarray,
    order: Sequence[str],
    parameters: Mapping[str, np.ndarray],
    *,
    arithmetic: Precision,
    history: History | None = None,
    reading: Reading | None = None,
    memory: Memories | None = None,
) -> Belief:
    """Return what every correct chain `order` makes of `logits`.

    Args:
      logits: [R, V]; -inf is masked; NaN and +inf have no reading and must be left out.
      order: stage names in the order applied.
      parameters: name -> [R] float64 (a bias, or a list of ids as ones: [R, V]).
      arithmetic: bands of the target's dtype.
      history: the tokens so far, for stages that read them.
      reading: the interpretation (default: the plainest).
      memory: stage -> what it remembers of the steps before (default: nothing yet).

    A twin is asked with its parameters (but `min_tokens_to_keep`, which is of all filters) and its conventions, and with `unfiltered` (the
    row as if no filter had removed anything), `history` and `memory` where its signature names them.
    """
    belief = start(logits, arithmetic)
    for step in _stages(belief, order, parameters, history=history, reading=reading, memory=memory):
        belief = step.after
    return belief


def remember(
    logits: np.ndarray,
    order: Sequence[str],
    parameters: Mapping[str, np.ndarray],
    tokens: np.ndarray,
    *,
    arithmetic: Precision,
    history: History | None = None,
    reading: Reading | None = None,
    memory: Memories | None = None,
) -> Memories:
    """Return what the stages remember after `tokens` [R] were taken from the chain's answer to `logits`; arguments as for `believe`."""
    stages = _stages(start(logits, arithmetic), order, parameters, history=history, reading=reading, memory=memory)
    return {
        step.name: step.twin.remember(step.before, step.after, tokens, **step.arguments)
        for step in stages
        if hasattr(step.twin, "remember")
    }


@dataclass(frozen=True, kw_only=True)
class _Stage:
    name: str
    twin: Callable[..., Belief]
    arguments: dict[str, Any]
    before: Belief
    after: Belief


def _stages(
    belief: Belief,
    order: Sequence[str],
    parameters: Mapping[str, np.ndarray],
    *,
    history: History | None,
    reading: Reading | None,
    memory: Memories | None,
) -> Iterator[_Stage]:
    """Yield the stages one after another, with what stood before each and what stands after it."""
    reading = reading or Reading()
    history = history or History.none(len(belief.z))
    unfiltered = belief
    for stage in order:
        item = technique(stage)
        twin = load(item.oracle)
        arguments: dict[str, Any] = dict(read(item, parameters, reading.subnormal))
        count = arguments.pop(LEAST, None)
        given = {"history": history, "memory": (memory or {}).get(stage, NOTHING)}
        arguments |= {name: value for name, value in given.items() if name in _named(twin)}
        arguments |= reading.arguments(stage)
        whole = {"unfiltered": unfiltered} if "unfiltered" in _named(twin) else {}
        before = belief
        belief = twin(before, **arguments, **whole)
        if count is not None:
            belief = spared(twin, before, belief, count)
        if not item.filters:
            unfiltered = belief if unfiltered is before else twin(unfiltered, **arguments, **whole)
        yield _Stage(name=stage, twin=twin, arguments=arguments, before=before, after=belief)


@cache
def _named(twin: Callable[..., Belief]) -> frozenset[str]:
    return frozenset(inspect.signature(twin).parameters)
