"""The sampling options of `generate`, one for each number that a technique of the registry takes."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import click

from samplerfuzz.core.registry import Parameter, offered

_LEAST, _LARGEST = math.ulp(0.0), sys.float_info.max


class _Real(click.ParamType):
    """A real number in a range, the infinities where the range has them."""

    name = "real"

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; anything else is a usage error that says what was expected."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not self._low <= number <= self._high:
            infinite = self._low == -math.inf
            low = "above 0" if self._low == _LEAST else f"from {-math.inf if self._low == -_LARGEST else self._low:g}"
            high = math.inf if self._high == _LARGEST else self._high
            self.fail(f"{value!r}: expected a number {low} to {high:g}, {'the infinities included' if infinite else 'finite'}", param, ctx)
        return number


def sampling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for every parameter of every technique that is offered."""
    options: dict[str, Callable[..., Any]] = {}
    for item in offered():
        for parameter in filter(lambda p: p.is_number, item.parameters):
            options.setdefault(parameter.name, _option(parameter, parameter.summary or item.summary))
    for option in reversed(options.values()):
        command = option(command)
    return command


def _option(parameter: Parameter, text: str) -> Callable[..., Any]:
    name, help_text = f"--{parameter.name.replace('_', '-')}", f"{text[:1].upper()}{text[1:]}."
    if parameter.kind == "switch":
        return click.option(name, is_flag=True, help=help_text)
    low, high = parameter.asked
    kind: click.ParamType = _Real(low, high)
    if parameter.kind == "integer":
        kind = click.IntRange(int(low), 2**31 - 1 if high == math.inf else int(high))
    default = parameter.neutral if parameter.usual is None else parameter.usual
    default = default if default is None or isinstance(kind, _Real) else int(default)
    return click.option(name, type=kind, default=default, show_default=True, help=help_text)
