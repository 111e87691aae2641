"""The one registry: which techniques exist, their parameters and where their two implementations live.

A technique is known by name here, in its sampler file, in its oracle file and in its golden row, nowhere else. The two
implementations are named as strings so that reading the registry loads neither.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Any

from samplerfuzz.core.errors import UsageError

_LARGEST = 1.7976931348623157e308


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One sampling parameter.

    Attributes:
      name: the field's standard name.
      kind: "real", "integer", "bias" (a mapping token id -> addend) or "ids" (a list of token ids).
      common: closed range in which refusing is a finding; an upper end of inf means the vocabulary size for integers.
      neutral: the value that switches the technique off (None: it cannot be).
      edges: values worth throwing, beyond the ends of `common`.
      meaning: closed range in which the definition gives an answer to judge by.
      beside: what a row's own thresholds are made of, so that values can be placed beside them: "mass" (sums of the largest
        probabilities), "ratio" (to the largest), "probability", "rank", "half surprise" (of a token, in bits), or "" (nothing).
    """

    name: str
    kind: str = "real"
    common: tuple[float, float] = (0.0, 1.0)
    neutral: float | None = None
    edges: tuple[float, ...] = ()
    meaning: tuple[float, float] = (-_LARGEST, _LARGEST)
    beside: str = ""

    @property
    def is_number(self) -> bool:
        """Whether a row has one number of it; otherwise a row has a mapping or a list."""
        return self.kind in ("real", "integer")

    def switched_off(self, vocabulary: int) -> float:
        """Return a value that does nothing, in the common domain where there is one; the least common one where it cannot be switched off."""
        if self.neutral is None:
            return self.common[0]
        inside = self.common[0] <= self.neutral <= self.common[1]
        return float(vocabulary) if not inside and self.kind == "integer" and self.common[1] == inf else self.neutral

    def nothing(self) -> dict[int, float] | list[int]:
        """Return the empty value of a parameter that is no number."""
        return {} if self.kind == "bias" else []


@dataclass(frozen=True, kw_only=True)
class Technique:
    """One sampling technique: a stage of a chain.

    Attributes:
      name: the stage name, as it stands in a target's `order`.
      parameters: its parameters; the first one decides whether the stage is present.
      sampler: "module:attribute" of the JAX stage constructor (keyword arguments: the parameter names).
      oracle: "module:attribute" of its float64 twin.
      filters: whether it removes tokens and changes no logit of those that stay.
      reads_history: whether it needs the tokens so far.
      remembers: whether it carries a state of its own from step to step.
      shift_invariant: whether adding a constant to a row changes nothing.
      coin: the parameter that is the probability of a coin the technique tosses, or "".
      summary: one line for `samplerfuzz ls` and `explain`.
    """

    name: str
    parameters: tuple[Parameter, ...]
    sampler: str
    oracle: str
    filters: bool = False
    reads_history: bool = False
    remembers: bool = False
    shift_invariant: bool = True
    coin: str = ""
    summary: str = ""


def _technique(name: str, *parameters: Parameter, module: str = "", **traits: Any) -> Technique:
    module = module or name
    return Technique(
        name=name,
        parameters=parameters,
        sampler=f"samplerfuzz.samplers.{module}:{name}",
        oracle=f"samplerfuzz.oracle.{module}:{name}",
        **traits,
    )


def _p(name: str, lo: float, hi: float, neutral: float | None, *edges: float, **traits: Any) -> Parameter:
    return Parameter(name=name, common=(lo, hi), neutral=neutral, edges=edges, **traits)


_WINDOW = _p("penalty_last_n", 1, 64, -1, 0, -1, 1, 2, kind="integer", meaning=(-1, _LARGEST))

# fmt: off
TECHNIQUES: dict[str, Technique] = {t.name: t for t in (
    _technique("logit_bias", _p("logit_bias", -100, 100, None, kind="bias"), summary="add a number to chosen tokens"),
    _technique("repetition_penalty", _p("repetition_penalty", 1, 2, 1, 0.5, 1e-6, 1e6, 0, -1, meaning=(5e-324, _LARGEST)), _WINDOW, module="penalties", reads_history=True, shift_invariant=False, summary="seen tokens: positive logits divided, the others multiplied"),
    _technique("presence_penalty", _p("presence_penalty", -2, 2, 0, 100, -100), _WINDOW, module="penalties", reads_history=True, summary="seen tokens: minus a constant"),
    _technique("frequency_penalty", _p("frequency_penalty", -2, 2, 0, 100, -100), _WINDOW, module="penalties", reads_history=True, summary="seen tokens: minus a constant a time"),
    _technique("dry", _p("dry_multiplier", 0, 5, 0, 100, -1, meaning=(0, _LARGEST)), _p("dry_base", 1, 4, None, 0, 0.5, 1e6, 1e30, meaning=(1, _LARGEST)), _p("dry_allowed_length", 1, 8, None, 0, -1, 64, kind="integer", meaning=(1, _LARGEST)), _p("dry_penalty_last_n", 1, 64, -1, 0, 2, kind="integer", meaning=(-1, _LARGEST)), _p("dry_sequence_breakers", 0, 0, None, kind="ids"), reads_history=True, summary="tokens that would lengthen a repetition: minus a price that grows with its length"),
    _technique("temperature", _p("temperature", 0.001, 2, 1, 0, -0.001, -1, -0.0, 1e-6, 1e-20, 1e-38, 1e-45, 0.01, 100, 1e9, 1e38, inf, -inf, meaning=(-inf, inf)), summary="divide the logits; 0 is greedy, negative inverts"),
    _technique("top_n_sigma", _p("top_n_sigma", 0.01, 5, 0, 1e-6, 100, -1), filters=True, summary="keep what lies within n standard deviations of the maximum"),
    _technique("top_k", _p("top_k", 1, inf, 0, 0, -1, -5, 2**31 - 1, kind="integer", beside="rank"), filters=True, summary="keep the k largest"),
    _technique("typical_p", _p("typical_p", 0.001, 1, 1, 1e-8, 0, -1, 2, beside="mass"), filters=True, summary="keep the tokens whose surprisal is nearest the entropy"),
    _technique("top_p", _p("top_p", 0.001, 1, 1, 1e-8, 1 - 1e-7, 0, -1, 2, beside="mass"), filters=True, summary="keep the smallest set of probability at least p"),
    _technique("min_p", _p("min_p", 0, 1, 0, 1e-8, -1, 2, beside="ratio"), filters=True, summary="keep what has at least a share of the largest probability"),
    _technique("xtc", _p("xtc_threshold", 0.01, 1, 1, 0, 0.5, -1, 2, meaning=(0, 1), beside="probability"), _p("xtc_probability", 0, 1, 0, -1, 2, meaning=(0, 1)), filters=True, coin="xtc_probability", summary="sometimes remove all top choices but the least probable"),
    _technique("mirostat", _p("mirostat_tau", 0.5, 10, 100, 0, 0.01, 3, -1, meaning=(0, _LARGEST), beside="half surprise"), _p("mirostat_eta", 0.01, 1, None, 0, 10, -1, meaning=(0, _LARGEST)), _p("mirostat", 1, 2, 0, 3, kind="integer", meaning=(0, 2)), filters=True, remembers=True, summary="bound the surprise of a token so that the text has the surprise asked for"),
    _technique("adaptive_p", _p("adaptive_target", 0, 1, -1, -0.5, 2, meaning=(-_LARGEST, 1)), _p("adaptive_decay", 0, 0.99, None, 1, 0.999, -1, meaning=(0, 0.99)), remembers=True, summary="prefer tokens near a target probability, steering their mean towards it"),
)}
# fmt: on


def technique(name: str) -> Technique:
    """Return the technique `name`; raise UsageError with the nearest known names."""
    if name in TECHNIQUES:
        return TECHNIQUES[name]
    raise UsageError(f"unknown stage {name!r}; {_nearest(name, TECHNIQUES)}")


def parameter(name: str) -> Parameter:
    """Return the parameter `name` of whichever technique reads it; KeyError when none does."""
    return next(p for t in parameter_owners()[name] for p in t.parameters if p.name == name)


def parameter_owners() -> dict[str, tuple[Technique, ...]]:
    """Map every parameter name to the techniques that read it."""
    owners: dict[str, tuple[Technique, ...]] = {}
    for item in TECHNIQUES.values():
        for parameter in item.parameters:
            owners[parameter.name] = (*owners.get(parameter.name, ()), item)
    return owners


def load(path: str) -> Any:
    """Import "module:attribute"."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _nearest(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    return (f"did you mean {close[0]!r}? " if close else "") + "known: " + ", ".join(known)
