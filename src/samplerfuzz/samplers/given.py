"""The chain of parameters that are given by name, as a person or a file gives them.

It holds the stages that do something: what is neutral is not compiled. Its parameters are leaves, so one compilation serves all
values of one set of stages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from samplerfuzz.core.registry import Parameter, offered, opened_by, parameter, technique
from samplerfuzz.samplers.chain import Chain, build

_TEMPERATURE = parameter("temperature")


def chain_of(given: Mapping[str, Any]) -> Chain:
    """Return the chain in the registry's order: temperature, and every stage that a parameter opens which is not neutral in every row.

    What is left out is neutral, and so is what stays at its neutral value: a filter that spares nothing is compiled without sparing.

    Args:
      given: parameters by name, each a number for all rows or [B]; masks of tokens [V].

    Example:
      >>> import numpy as np
      >>> [type(stage).__name__ for stage in chain_of({"temperature": 1.0, "top_k": np.array([0, 5]), "top_p": 1.0}).stages]
      ['Temperature', 'TopK']
    """
    stages = [item for item in offered() for first in item.parameters[:1] if first is _TEMPERATURE or _is_set(first, given)]
    order = opened_by(item.parameters[0].name for item in stages)
    read = {p.name: p for stage in order for p in technique(stage).parameters}
    needed = {p.name for stage in order for p in technique(stage).parameters[:1]}
    return build(order, {name: given.get(name, p.neutral) for name, p in read.items() if name in needed or _is_set(p, given)})


def _is_set(parameter: Parameter, given: Mapping[str, Any]) -> bool:
    value = given.get(parameter.name, parameter.neutral)
    if value is None or not parameter.is_number:
        return value is not None and bool(np.any(value))
    return bool(np.any(np.asarray(value) != parameter.neutral))
