"""The model of a dialect: order of stages, conventions, and what becomes of every value of every parameter."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.core.intervals import contains
from samplerfuzz.core.registry import TECHNIQUES, Technique, parameter, parameter_owners

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What an engine makes of the values of one parameter. Sets of values are written as in `core.intervals`.

    Attributes:
      takes: what it accepts; the rest it refuses, or answers without a documented meaning.
      off: what switches the technique off.
      becomes: (set, value): what it computes with instead, the first set that holds the value; temperature 0 is greedy.
      unless: another parameter: where that is not neutral, no value becomes another one.
      default: what it takes when the parameter is not given beside another one of its stage, where that is not the neutral value.
      called: the engine's own name, where it is another.
    """

    takes: str = "(-inf, inf)"
    off: str = ""
    becomes: tuple[tuple[str, float], ...] = ()
    unless: str = ""
    default: float | None = None
    called: str = ""

    def settled(self, name: str, values: Any, vocabulary: int | None = None) -> np.ndarray:
        """Return what the engine computes with, of the shape of `values`: sentinels are the neutral value of `name`.

        A value that single precision rounds out of a set stays as it is: on which side of the end the engine sees it is its own affair.
        """
        given = np.asarray(values)
        rounded = np.clip(given, -_LARGEST, _LARGEST).astype(np.float32)
        out, undecided = given, np.ones(given.shape, bool)
        neutral = parameter(name).neutral
        for where, value in ((self.off, neutral), *self.becomes):
            hit = undecided & contains(where, given, vocabulary) & contains(where, rounded, vocabulary)
            if hit.any() and value is not None:
                out = np.where(hit, np.asarray(value, given.dtype if float(value).is_integer() else np.float64), out)
            undecided &= ~hit
        return out


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One engine's way of sampling.

    Attributes:
      name: of the engine.
      version: that was read and run.
      source: what was read: documentation and files of that version.
      order: every stage it has, in the order applied by default.
      rules: parameter -> what becomes of its values. A parameter that is not here the engine does not have.
      conventions: "stage.convention" -> value, as the oracle's twins name them: what it documents, or what its arithmetic leaves no choice in.
      habits: likewise, what it was seen to do and does not promise, such as the order an unstable sort leaves ties in. Samplers made from the
        dialect follow habits; the oracle does not judge by them.
      replaced: parameter -> the only stages that are left where it is not neutral.
      one_filter: whether it applies one filter a call, and not several of them one after another.
      prefilter: the number of best tokens that it looks at, where it never looks at all of them; 0: all.
      before_prefilter: the stages of `order` that still see all of them.
      notes: what else a reader should know, one sentence each.
    """

    name: str
    version: str
    source: str
    order: tuple[str, ...]
    rules: Mapping[str, Rule]
    conventions: Mapping[str, str] = field(default_factory=dict)
    habits: Mapping[str, str] = field(default_factory=dict)
    replaced: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    one_filter: bool = False
    prefilter: int = 0
    before_prefilter: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def behaviour(self) -> dict[str, str]:
        """Conventions and habits together."""
        return {**self.conventions, **self.habits}

    @property
    def negative_temperature(self) -> str:
        """What T < 0 is: "reject", "greedy" or "invert"."""
        return self._temperature(-1.0, divides="invert")

    @property
    def zero_temperature(self) -> str:
        """What T = 0 is: "greedy" or "reject"."""
        return self._temperature(0.0, divides="greedy")

    def _temperature(self, value: float, *, divides: str) -> str:
        rule = self.rules.get("temperature", Rule())
        if not contains(rule.takes, value):
            return "reject"
        return "greedy" if float(rule.settled("temperature", value)) == 0 else divides

    def stages(self, given: Collection[str]) -> tuple[Technique, ...]:
        """Return the stages that the parameters named in `given` open, in the order applied.

        A parameter opens the stage that it stands first in, unless a stage that another one opens reads it too.
        """
        opened = [item for item in map(TECHNIQUES.get, self.order) if item and item.parameters[0].name in given]
        taken = {p.name for item in opened for p in item.parameters[1:]}
        return tuple(item for item in opened if item.parameters[0].name not in taken)

    def settled(self, given: Mapping[str, np.ndarray], vocabulary: int | None = None) -> dict[str, Any]:
        """Return the parameters as the engine computes with them; it has no say about those that it does not have."""
        out: dict[str, Any] = {
            name: self.rules[name].settled(name, values, vocabulary) if name in self.rules and parameter(name).is_number else values
            for name, values in given.items()
        }
        for name, rule in self.rules.items():
            if name in out and rule.unless in out:
                out[name] = np.where(out[rule.unless] != parameter(rule.unless).neutral, np.asarray(given[name]), out[name])
        for name, left in self.replaced.items():
            if name in out:
                out = self._without(out, np.asarray(out[name]) != parameter(name).neutral, left)
        return out

    def _without(self, settled: dict[str, Any], rows: np.ndarray, left: Collection[str]) -> dict[str, Any]:
        """Switch every stage off, in the `rows` where true, but those that are `left`."""
        out = dict(settled)
        for item in self.stages(settled):
            first = item.parameters[0]
            if item.name not in left and rows.any() and first.neutral is not None:
                values = np.asarray(out[first.name])
                out[first.name] = np.where(rows, np.asarray(first.neutral, values.dtype), values)
        return out

    def refused(self, given: Mapping[str, np.ndarray], vocabulary: int | None = None) -> dict[str, np.ndarray]:
        """Return, for each parameter, which of its values the engine does not take."""
        return {
            name: ~contains(self.rules[name].takes, values, vocabulary)
            for name, values in given.items()
            if name in self.rules and parameter(name).is_number
        }

    def checked(self, given: Mapping[str, Any], vocabulary: int | None = None) -> dict[str, Any]:
        """Return `settled` parameters, with the defaults of companions that are missing.

        Raises:
          ParameterError: a parameter that the engine does not have, or a value that it does not take.
        """
        for name in given:
            if name not in self.known():
                raise ParameterError(
                    f"{self.name} {self.version} has no parameter {name!r}; it has {', '.join(sorted(self.known()))}; "
                    f"leave it out, or see `samplerfuzz explain dialect {self.name}`"
                )
        for name, wrong in self.refused(given, vocabulary).items():
            if wrong.any():
                value = np.asarray(given[name])[wrong].ravel()[0] if np.ndim(given[name]) else given[name]
                raise ParameterError(
                    f"{name}={value} is refused by {self.name} {self.version}; it takes {self.rules[name].takes}"
                    f"{_where_v(self.rules[name].takes, vocabulary)}; give such a value, or see `samplerfuzz explain dialect {self.name}`"
                )
        return self.settled({**self._defaults(given), **given}, vocabulary)

    def check_filters(self, stages: Sequence[Technique], settled: Mapping[str, Any]) -> None:
        """Refuse several filters where the engine applies one a call.

        Raises:
          ParameterError: more than one stage of `stages` filters and is not switched off.
        """
        active = [item.name for item in stages if item.filters and np.any(settled[item.parameters[0].name] != item.parameters[0].neutral)]
        if self.one_filter and len(active) > 1:
            raise ParameterError(
                f"{self.name} {self.version} applies one filter a call, and {', '.join(active)} were given; keep one of them"
            )

    def known(self) -> tuple[str, ...]:
        """Return the parameters of the engine that this version of samplerfuzz has a technique for."""
        return tuple(name for name in self.rules if name in parameter_owners())

    def _defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        present = {p.name for name in given for item in parameter_owners()[name] for p in item.parameters}
        return {name: rule.default for name, rule in self.rules.items() if rule.default is not None and name in present - set(given)}


def _where_v(takes: str, vocabulary: int | None) -> str:
    return f", V = {vocabulary}" if "V" in takes and vocabulary is not None else ""
