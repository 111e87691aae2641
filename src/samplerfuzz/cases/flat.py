"""The plainest case there is: equal logits and parameters that do nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from samplerfuzz.cases.case import Case
from samplerfuzz.core.registry import parameter

ROWS, SIZE = 32, 1000


def flat_case(parameters: Sequence[str], *, seeds: bool, per_row: bool, history: bool = False) -> Case:
    """Return 32 flat rows of 1000 tokens under neutral parameters; with seeds, every row has its own where rows have seeds."""
    given: dict[str, object] = {}
    for name in parameters:
        item = parameter(name)
        neutral = item.switched_off(SIZE)
        given[name] = np.full(ROWS, 0.0 if neutral is None else neutral) if item.is_number else [neutral] * ROWS
    return Case(
        logits=np.zeros((ROWS, SIZE), np.float32),
        parameters=given,
        history=tuple(np.zeros(0, np.int64) for _ in range(ROWS)) if history else None,
        prompt_length=np.zeros(ROWS, np.int64) if history else None,
        seeds=np.arange(ROWS) * 977 * per_row + 5 if seeds else None,
        regime="flat",
        strategy="neutral",
    )
