"""Beliefs for whole chains: stage after stage, from the definition, under one reading."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from samplerfuzz.core.registry import load, technique
from samplerfuzz.oracle.belief import Belief, Precision, start
from samplerfuzz.oracle.conventions import Reading
from samplerfuzz.oracle.history import History
from samplerfuzz.oracle.keeping import spared

LEAST = "min_tokens_to_keep"


def believe(
    logits: np.ndarray,
    order: Sequence[str],
    parameters: Mapping[str, np.ndarray],
    *,
    arithmetic: Precision,
    history: History | None = None,
    reading: Reading | None = None,
) -> Belief:
    """Return what every correct chain `order` makes of `logits`.

    Args:
      logits: [R, V]; -inf is masked; NaN and +inf have no reading and must be left out.
      order: stage names in the order applied.
      parameters: name -> [R] float64 (a bias, or a list of ids as ones: [R, V]).
      arithmetic: bands of the target's dtype.
      history: the tokens so far, for stages that read them.
      reading: the interpretation (default: the plainest).

    A twin is asked with its parameters (but `min_tokens_to_keep`, which is of all filters) and its conventions, and with `unfiltered` (the row as if no filter had removed anything) and
    `history` where its signature names them.
    """
    reading = reading or Reading()
    history = history or History.none(len(logits))
    belief = unfiltered = start(logits, arithmetic)
    for stage in order:
        item = technique(stage)
        twin = load(item.oracle)
        arguments: dict[str, Any] = {p.name: parameters[p.name] for p in item.parameters if p.name in parameters}
        count = arguments.pop(LEAST, None)
        arguments |= {name: value for name, value in (("history", history), ("unfiltered", unfiltered)) if name in _named(twin)}
        conventions = reading.arguments(stage)
        before = belief
        belief = twin(before, **arguments, **conventions)
        if count is not None:
            belief = spared(twin, before, belief, count)
        if not item.filters:
            unfiltered = belief if unfiltered is before else twin(unfiltered, **arguments, **conventions)
    return belief


@cache
def _named(twin: Callable[..., Belief]) -> frozenset[str]:
    return frozenset(inspect.signature(twin).parameters)
