"""What a named engine silently makes of a request: parameters it does not have, refuses, replaces or ignores. Its dialect says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from samplerfuzz.core.dialects import Dialect
from samplerfuzz.core.registry import TECHNIQUES, parameter
from samplerfuzz.safety.results import INFO, LOW, MEDIUM
from samplerfuzz.safety.shown import shown
from samplerfuzz.safety.values import as_number


def engine_remarks(dialect: Dialect, given: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (parameter, severity, message) for what the engine does not do as asked.

    Args:
      dialect: of the engine behind.
      given: registry's name -> value within its domain.
    """
    engine = f"{dialect.name} {dialect.version}"
    known = {name: value for name, value in given.items() if name in dialect.rules}
    for name in given:
        if name not in known:
            yield name, LOW, f"{engine} has no parameter {name}: it refuses or ignores it"
    numbers = {name: float(number) for name, value in known.items() if (number := as_number(value)) is not None and abs(number) < 1e300}
    arrays = {name: np.asarray(value) for name, value in numbers.items()}
    refused = {name for name, wrong in dialect.refused(arrays).items() if wrong}
    for name in sorted(refused):
        yield name, MEDIUM, f"{engine} refuses {name}={shown(given[name])}; it takes {dialect.rules[name].takes}"
    settled = dialect.settled({name: value for name, value in arrays.items() if name not in refused})
    replacing = _replacing(dialect, numbers)
    for name, value in numbers.items():
        if name in refused or float(settled[name]) == value:
            continue
        if replacing and _is_dropped(dialect, name, replacing):
            yield name, LOW, f"{engine} ignores {name} where {replacing} is on"
        elif float(settled[name]) == parameter(name).neutral:
            yield name, INFO, f"{engine} takes {name}={shown(given[name])} for switched off"
        else:
            yield name, LOW, f"{engine} computes with {name}={float(settled[name]):g} where {shown(given[name])} is given"
    filters = [
        item.name for item in dialect.stages(numbers) if item.filters and settled.get(item.parameters[0].name) != item.parameters[0].neutral
    ]
    if dialect.one_filter and len(filters) > 1:
        yield filters[1], MEDIUM, f"{engine} applies one filter a call, and {', '.join(filters)} are given"


def _replacing(dialect: Dialect, numbers: Mapping[str, float]) -> str:
    return next((name for name in dialect.replaced if name in numbers and numbers[name] != parameter(name).neutral), "")


def _is_dropped(dialect: Dialect, name: str, replacing: str) -> bool:
    left = dialect.replaced[replacing]
    return any(name == item.parameters[0].name and item.name not in left for item in TECHNIQUES.values())
