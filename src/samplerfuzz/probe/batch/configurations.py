"""Sampling configurations: what a file of them may say, and how they become one column a parameter."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samplerfuzz.core.errors import UsageError
from samplerfuzz.core.registry import Parameter, offered

Configuration = Mapping[str, float]
_LARGEST_INTEGER = 2**31 - 1
_INFINITIES = {"inf": math.inf, "-inf": -math.inf}


def known() -> dict[str, Parameter]:
    """Return the parameters that a configuration may set, by name: those that are numbers."""
    return {p.name: p for item in offered() for p in item.parameters if p.is_number}


def read_configurations(file: Path) -> list[Configuration]:
    """Return the configurations of a file: one JSON list of objects, or one object a line.

    An object sets parameters by name and leaves the others neutral; the infinities are written "inf" and "-inf".

    Raises:
      UsageError: not such a file, an unknown name, a value outside the parameter's domain; the message names the place.

    Example file:
      [{"temperature": -0.001}, {"temperature": 0.8, "top_p": 0.9}]
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {file}: expected UTF-8 text: {error}") from error
    try:
        entries = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise UsageError(f"--config {file}: expected a JSON list of objects, or one object a line: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise UsageError(f'--config {file}: expected at least one configuration, such as [{{"temperature": 0.8}}]; found none')
    return [checked(entry, f"--config {file}: configuration {index}") for index, entry in enumerate(entries)]


def checked(entry: Any, where: str) -> Configuration:
    """Return the configuration with every value as a float.

    Raises:
      UsageError: no object, an unknown name, a value that is no number of the parameter's domain; `where` begins the message.
    """
    if not isinstance(entry, dict):
        raise UsageError(f"{where}: expected an object of parameters, found {entry!r}")
    parameters = known()
    for name in entry:
        if name not in parameters:
            raise UsageError(f"{where}: unknown parameter {name!r}; known: {', '.join(parameters)}")
    return {name: _number(value, parameters[name], where) for name, value in entry.items()}


def _number(value: Any, parameter: Parameter, where: str) -> float:
    low, high = parameter.asked
    number = _INFINITIES.get(value, math.nan) if isinstance(value, str) else value
    if isinstance(number, int | float) and low <= number <= high and (parameter.kind == "real" or float(number).is_integer()):
        return float(number)
    kind = "a real number" if parameter.kind == "real" else "an integer"
    raise UsageError(f"{where}: {parameter.name} = {value!r}: expected {kind} from {low:g} to {high:g}")


def times_temperatures(configurations: Sequence[Configuration], temperatures: Sequence[float]) -> list[Configuration]:
    """Return every configuration at every temperature; with no temperatures the configurations as they are.

    Raises:
      UsageError: NaN, or a configuration that has a temperature of its own.
    """
    for temperature in temperatures:
        if math.isnan(temperature):
            raise UsageError(f"--temperature {temperature}: expected any real number, 0, inf or -inf")
    clash = next((index for index, entry in enumerate(configurations) if temperatures and "temperature" in entry), None)
    if clash is not None:
        raise UsageError(f"--config: configuration {clash} sets temperature, and so does --temperature; say it in one place")
    if not temperatures:
        return list(configurations)
    return [{**entry, "temperature": temperature} for entry in configurations for temperature in temperatures]


def columns(configurations: Sequence[Configuration]) -> dict[str, np.ndarray]:
    """Return parameter -> its values [C], the usual or neutral one where a configuration does not say.

    >>> columns([{"temperature": -0.001}, {"top_k": 5.0}])["top_k"].tolist()
    [0, 5]
    """
    return {name: _column(p, configurations) for name, p in known().items()}


def _column(parameter: Parameter, configurations: Sequence[Configuration]) -> np.ndarray:
    default = parameter.neutral if parameter.usual is None else parameter.usual
    values = np.array([entry.get(parameter.name, default) for entry in configurations], np.float64)
    return values if parameter.kind == "real" else np.minimum(values, _LARGEST_INTEGER).astype(np.int64)
