"""What the literature or released engines settle differently, stated beside each twin as data.

A convention has a name and its fair values, the plainest first. A *reading* picks one value of each; a row is accused only when no
reading explains it. A target or dialect that declares a convention settles it. A coin is no convention but an outcome: both sides
are fair for one call, and over many draws they mix with a known chance.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from samplerfuzz.core.registry import Technique, load, technique
from samplerfuzz.oracle.history import History

F = TypeVar("F", bound=Callable[..., Any])

# what the arithmetic makes of parameters below the normal numbers of float32, whichever stage reads them: they are what they are (float64),
# they are what float32 rounds them to, which is zero in the end, or the machine takes all of them for zero
_SUBNORMAL = ("kept", "rounded", "zero")
SMALLEST_NORMAL = 1.1754943508222875e-38
# half the smallest number of float32: it and what lies below become zero
_VANISHING = 7.006492321624085e-46

TIES = ("any", "all", "cut", "low", "high")


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """Where a convention may matter: the parameters of its stage, what stands before it, and the tokens so far.

    Attributes:
      parameters: name -> [R].
      filtered: whether an earlier stage of the chain removes tokens.
      history: of the rows.
    """

    parameters: Mapping[str, np.ndarray]
    filtered: bool
    history: History

    def __getitem__(self, name: str) -> np.ndarray:
        return self.parameters[name]


@dataclass(frozen=True, kw_only=True)
class Convention:
    """One thing that correct implementations do differently.

    Attributes:
      name: keyword argument of the twin that gets the value.
      values: the fair ones, the plainest first.
      matters: whether the values can give different answers on an occasion.
      chance: for a coin, the probability [R] of the first value.
    """

    name: str
    values: tuple[str, ...]
    matters: Callable[[Occasion], bool] = lambda occasion: True
    chance: Callable[[Occasion], np.ndarray] | None = None


def conventions(*items: Convention) -> Callable[[F], F]:
    """Declare the conventions of a twin."""

    def declare(twin: F) -> F:
        twin.conventions = items  # type: ignore[attr-defined]
        return twin

    return declare


def conventions_of(stage: str) -> tuple[Convention, ...]:
    """Return what the twin of `stage` declares."""
    return getattr(load(technique(stage).oracle), "conventions", ())


def tie_rule(name: str = "ties") -> Convention:
    """Return the convention of what happens to tokens that tie at a cut.

    "any": all of them stay, or as many as fit, in any choice; "all": they all stay; "cut": as many as fit, in any choice; "low", "high": as
    many as fit, those with the lowest or the highest ids first. The first is the widest, so the others need no reading of their own.
    """
    return Convention(name=name, values=TIES, matters=lambda at: False)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One fair interpretation of a chain.

    Attributes:
      settled: (stage, convention) -> value; what is not named has its plainest value.
      coins: (stage, coin) -> value.
      chance: [R] probability of these coins, or 1.
      subnormal: what becomes of parameters below the normal numbers of float32: "kept", "rounded" or "zero".
    """

    settled: Mapping[tuple[str, str], str] = field(default_factory=dict)
    coins: Mapping[tuple[str, str], str] = field(default_factory=dict)
    chance: np.ndarray | float = 1.0
    subnormal: str = "kept"

    def arguments(self, stage: str) -> dict[str, str]:
        """Return the keyword arguments that the twin of `stage` gets."""
        chosen = {**self.settled, **self.coins}
        return {item.name: chosen.get((stage, item.name), item.values[0]) for item in conventions_of(stage)}


def readings(
    order: Sequence[str], parameters: Mapping[str, np.ndarray], *, history: History | None = None, declared: Mapping[str, str] | None = None
) -> Iterator[Reading]:
    """Yield the fair readings of a chain, the plainest first; readings that differ in coins only follow each other.

    Args:
      order: stage names.
      parameters: name -> [R].
      history: the tokens so far.
      declared: "stage.convention" -> value, what the target or its dialect settles.
    """
    tiny = any(_is_subnormal(value).any() for stage in order for value in read(technique(stage), parameters).values())
    for subnormal in _SUBNORMAL if tiny else _SUBNORMAL[:1]:
        yield from _readings(order, parameters, history, declared or {}, subnormal)


def read(item: Technique, parameters: Mapping[str, np.ndarray], subnormal: str = "kept") -> dict[str, np.ndarray]:
    """Return the parameters of a technique that are given, as read: those below the normal numbers of float32 "kept", "rounded" or "zero"."""
    given = {p.name: parameters[p.name] for p in item.parameters if p.name in parameters}
    if subnormal == "kept":
        return given
    lost = _is_subnormal if subnormal == "zero" else _vanishes
    return {name: np.where(lost(value), 0.0, value) for name, value in given.items()}


def _is_subnormal(value: np.ndarray) -> np.ndarray:
    return (np.abs(value) < SMALLEST_NORMAL) & (value != 0) if np.ndim(value) < 2 else np.zeros(1, bool)


def _vanishes(value: np.ndarray) -> np.ndarray:
    return _is_subnormal(value) & (np.abs(value) <= _VANISHING)


def _readings(
    order: Sequence[str], parameters: Mapping[str, np.ndarray], history: History | None, declared: Mapping[str, str], subnormal: str
) -> Iterator[Reading]:
    open_choices: list[list[tuple[tuple[str, str], str]]] = []
    coins: list[list[tuple[tuple[str, str], str, np.ndarray]]] = []
    filtered = False
    for stage in order:
        item = technique(stage)
        given = {name: np.asarray(value, np.float64) for name, value in read(item, parameters, subnormal).items()}
        occasion = Occasion(parameters=given, filtered=filtered, history=history or History.none(_rows(given)))
        for convention in conventions_of(stage):
            key = (stage, convention.name)
            if convention.chance is not None:
                if convention.matters(occasion):
                    first = np.clip(convention.chance(occasion), 0, 1)
                    coins.append([(key, value, p) for value, p in zip(convention.values, (first, 1 - first), strict=True)])
                continue
            named = declared.get(f"{stage}.{convention.name}")
            if named is not None:
                open_choices.append([(key, named)])
            elif convention.matters(occasion):
                open_choices.append([(key, value) for value in convention.values])
        filtered = filtered or item.filters
    for choice in itertools.product(*open_choices):
        for toss in itertools.product(*coins):
            chance: np.ndarray | float = 1.0
            for _, _, p in toss:
                chance = chance * p
            yield Reading(settled=dict(choice), coins={key: value for key, value, _ in toss}, chance=chance, subnormal=subnormal)


def _rows(parameters: Mapping[str, np.ndarray]) -> int:
    return max((len(np.atleast_1d(value)) for value in parameters.values()), default=1)
