"""The one registry: which techniques exist, their parameters and where their two implementations live.

A technique is known by name here, in its sampler file, in its oracle file and in its golden row, nowhere else. The two
implementations are named as strings so that reading the registry loads neither.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from math import inf
from typing import Any

from samplerfuzz.core.errors import UsageError

_LARGEST = 1.7976931348623157e308
_LEAST = 5e-324


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One sampling parameter.

    Attributes:
      name: the field's standard name.
      kind: "real", "integer", "switch" (0 or 1), "bias" (a mapping token id -> addend) or "ids" (a list of token ids).
      common: closed range in which refusing is a finding; an upper end of inf means the vocabulary size for integers.
      neutral: the value that changes nothing (None: there is none). For a bias it is the empty one; for ids None stands for the empty
        list and inf for that of all ids.
      edges: values worth throwing, beyond the ends of `common`.
      meaning: closed range in which the definition gives an answer to judge by.
      domain: closed range of what a person may ask for; None: `common` and the neutral value.
      beside: what a row's own thresholds are made of, so that values can be placed beside them (`samplerfuzz.cases.thresholds`);
        "" for nothing.
      usual: what people give with its technique, where it has no neutral value.
      quiet: how often an ordinary case leaves it neutral.
      example: a value that people give, by which a technique that filters is shown.
      summary: what it means, where the technique's own summary does not say it.
    """

    name: str
    kind: str = "real"
    common: tuple[float, float] = (0.0, 1.0)
    neutral: float | None = None
    edges: tuple[float, ...] = ()
    meaning: tuple[float, float] = (-_LARGEST, _LARGEST)
    domain: tuple[float, float] | None = None
    beside: str = ""
    usual: float | None = None
    quiet: float = 0.15
    example: float | None = None
    summary: str = ""

    @property
    def is_number(self) -> bool:
        """Whether its value is one number, and not a collection of token ids."""
        return self.kind not in ("bias", "ids")

    @property
    def asked(self) -> tuple[float, float]:
        """The closed range of what a person may ask for."""
        if self.domain is not None:
            return self.domain
        neutral = self.common[0] if self.neutral is None else self.neutral
        return min(self.common[0], neutral), max(self.common[1], neutral)

    def switched_off(self, vocabulary: int) -> Any:
        """Return a value that does nothing and, where there is one, lies in the common domain; an ordinary one where nothing does nothing."""
        if not self.is_number:
            return {} if self.kind == "bias" else [] if self.neutral is None else list(range(vocabulary))
        if self.neutral is None:
            return self.common[0] if self.usual is None else self.usual
        inside = self.common[0] <= self.neutral <= self.common[1]
        return float(vocabulary) if not inside and self.kind == "integer" and self.common[1] == inf else self.neutral


@dataclass(frozen=True, kw_only=True)
class Technique:
    """One sampling technique: a stage of a chain.

    Attributes:
      name: the stage name, as it stands in a target's `order`.
      parameters: its parameters; the first one decides whether the stage is present. Every filter without memory reads
        `min_tokens_to_keep`.
      sampler: "module:attribute" of the JAX stage constructor (keyword arguments: the parameter names).
      oracle: "module:attribute" of its float64 twin.
      filters: whether it removes tokens by their place in the distribution and changes no logit of those that stay.
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
        # what a filter ranks changes from step to step where it remembers: it has a policy of its own
        parameters=(*parameters, _KEEP) if traits.get("filters") and not traits.get("remembers") else parameters,
        sampler=f"samplerfuzz.samplers.{module}:{name}",
        oracle=f"samplerfuzz.oracle.{module}:{name}",
        **traits,
    )


def _p(name: str, lo: float, hi: float, neutral: float | None, *edges: float, **traits: Any) -> Parameter:
    return Parameter(name=name, common=(lo, hi), neutral=neutral, edges=edges, **traits)


# fmt: off
_WINDOW = _p("penalty_last_n", 1, 64, -1, 0, -1, 1, 2, kind="integer", meaning=(-1, _LARGEST), domain=(-1, inf), summary="how many of the newest tokens the penalties see; -1: all")
_KEEP = _p("min_tokens_to_keep", 1, inf, 1, 2, 3, 0, -1, kind="integer", meaning=(1, _LARGEST), quiet=0.7, summary="no filter leaves fewer than so many")
_TEMPERATURE = _p("temperature", 0.001, 2, 1, 0, -0.001, -1, -0.0, 1e-6, 1e-20, 1e-38, 1e-45, 0.01, 100, 1e9, 1e38, inf, -inf, meaning=(-inf, inf), domain=(-inf, inf))

TECHNIQUES: dict[str, Technique] = {t.name: t for t in (
    _technique("logit_bias", _p("logit_bias", -100, 100, None, kind="bias"), summary="add a number to chosen tokens"),
    _technique("allowed_tokens", _p("allowed_tokens", 0, inf, inf, kind="ids"), module="token_lists", summary="only these tokens"),
    _technique("forbidden_tokens", _p("forbidden_tokens", 0, inf, None, kind="ids"), module="token_lists", summary="never these tokens"),
    _technique("repetition_penalty", _p("repetition_penalty", 1, 2, 1, 0.5, 1e-6, 1e6, 0, -1, meaning=(_LEAST, _LARGEST), domain=(_LEAST, _LARGEST)), _WINDOW, module="penalties", reads_history=True, shift_invariant=False, summary="seen tokens: positive logits divided, the others multiplied"),
    _technique("presence_penalty", _p("presence_penalty", -2, 2, 0, 100, -100, domain=(-_LARGEST, _LARGEST)), _WINDOW, module="penalties", reads_history=True, summary="seen tokens: minus a constant"),
    _technique("frequency_penalty", _p("frequency_penalty", -2, 2, 0, 100, -100, domain=(-_LARGEST, _LARGEST)), _WINDOW, module="penalties", reads_history=True, summary="seen tokens: minus a constant a time"),
    _technique("dry", _p("dry_multiplier", 0, 5, 0, 100, -1, meaning=(0, _LARGEST), domain=(0, _LARGEST)), _p("dry_base", 1, 4, None, 0, 0.5, 1e6, 1e30, meaning=(1, _LARGEST), domain=(1, _LARGEST), usual=1.75, summary="how the price grows with a token more"), _p("dry_allowed_length", 1, 8, None, 0, -1, 64, kind="integer", meaning=(1, _LARGEST), domain=(1, inf), usual=2, summary="the longest repetition without a price"), _p("dry_penalty_last_n", 1, 64, -1, 0, 2, kind="integer", meaning=(-1, _LARGEST), domain=(-1, inf), summary="how many of the newest tokens DRY sees; -1: all"), _p("dry_sequence_breakers", 0, 0, None, kind="ids"), reads_history=True, summary="tokens that would lengthen a repetition: minus a price that grows with its length"),
    _technique("temperature", _TEMPERATURE, summary="divide the logits; 0 is greedy, negative inverts"),
    _technique("dynatemp", _p("dynatemp_range", 0, 2, 0, 1e-6, 10, 1e9, -1, domain=(0, _LARGEST)), _p("dynatemp_exponent", 0.1, 5, 1, 0, 1e-3, 100, meaning=(0, _LARGEST), quiet=0.4, summary="how steeply the temperature follows the entropy"), _TEMPERATURE, summary="divide by a temperature that follows the entropy, within a range of the one given"),
    _technique("smoothing", _p("smoothing_factor", 0, 10, 0, 1e-6, 1e9, -1, meaning=(0, _LARGEST), domain=(0, _LARGEST)), _p("smoothing_curve", 1, 3, 1, 10, 0, -1, meaning=(1, 10), domain=(1, 10), quiet=0.4, summary="the share of the cube: 1 none, 3 all"), summary="bend the logits below the maximum by a square and a cube"),
    _technique("top_n_sigma", _p("top_n_sigma", 0.01, 5, 0, 1e-6, 100, -1, domain=(0, _LARGEST), example=1), filters=True, summary="keep what lies within n standard deviations of the maximum"),
    _technique("top_k", _p("top_k", 1, inf, 0, 0, -1, -5, 2**31 - 1, kind="integer", domain=(0, 2**31 - 1), beside="rank", example=50), filters=True, summary="keep the k largest"),
    _technique("tfs_z", _p("tfs_z", 0.001, 1, 1, 1e-8, 0, -1, 2, meaning=(0, _LARGEST), domain=(0, 1), beside="curvature", example=0.95), filters=True, summary="cut the tail where the curvature of the sorted probabilities is used up"),
    _technique("typical_p", _p("typical_p", 0.001, 1, 1, 1e-8, 0, -1, 2, domain=(_LEAST, 1), beside="mass", example=0.95), filters=True, summary="keep the tokens whose surprisal is nearest the entropy"),
    _technique("top_p", _p("top_p", 0.001, 1, 1, 1e-8, 1 - 1e-7, 0, -1, 2, domain=(_LEAST, 1), beside="mass", example=0.9), filters=True, summary="keep the smallest set of probability at least p"),
    _technique("min_p", _p("min_p", 0, 1, 0, 1e-8, -1, 2, beside="ratio", example=0.1), filters=True, summary="keep what has at least a share of the largest probability"),
    _technique("top_a", _p("top_a", 0, 1, 0, 1e-8, -1, 2, 1e6, beside="ratio to the square", example=0.2), filters=True, summary="keep what has at least a share of the square of the largest probability"),
    _technique("epsilon_cutoff", _p("epsilon_cutoff", 1e-5, 0.9, 0, 1e-8, 1, -1, 2, meaning=(-_LARGEST, 1), beside="probability", example=3e-4), filters=True, summary="keep what has at least a probability"),
    _technique("eta_cutoff", _p("eta_cutoff", 1e-5, 0.9, 0, 1e-8, 1, -1, 2, meaning=(-_LARGEST, 1), beside="probability below the entropy", example=2e-3), filters=True, summary="keep what has at least a probability that falls with the entropy"),
    _technique("top_h", _p("top_h", 0.01, 1, 1, 1e-6, 0, -1, 2, meaning=(_LEAST, _LARGEST), domain=(_LEAST, 1), beside="share of entropy", example=0.4), filters=True, summary="keep the largest set of at most a share of the entropy"),
    _technique("p_less", _p("p_less", 0, 1, 0, kind="switch", meaning=(0, 1), example=1), filters=True, summary="keep what has at least the probability that two draws agree"),
    _technique("p_less_norm", _p("p_less_norm", 0, 1, 0, kind="switch", meaning=(0, 1), example=1), module="p_less", filters=True, summary="p-less, relaxed by the agreement of chance"),
    _technique("xtc", _p("xtc_threshold", 0.01, 1, 1, 0, 0.5, -1, 2, meaning=(0, 1), beside="probability", example=0.1), _p("xtc_probability", 0, 1, 0, -1, 2, meaning=(0, 1)), filters=True, coin="xtc_probability", summary="sometimes remove all top choices but the least probable"),
    _technique("mirostat", _p("mirostat_tau", 0.5, 10, 100, 0, 0.01, 3, -1, meaning=(0, _LARGEST), beside="half surprise", example=5), _p("mirostat_eta", 0.01, 1, None, 0, 10, -1, meaning=(0, _LARGEST), domain=(0, _LARGEST), usual=0.1, summary="how fast the bound of mirostat moves"), _p("mirostat", 1, 2, 0, 3, kind="integer", meaning=(0, 2), usual=2, summary="the version of mirostat, 1 or 2; 0: off"), filters=True, remembers=True, summary="bound the surprise of a token so that the text has the surprise asked for"),
    _technique("adaptive_p", _p("adaptive_target", 0, 1, -1, -0.5, 2, meaning=(-_LARGEST, 1)), _p("adaptive_decay", 0, 0.99, None, 1, 0.999, -1, meaning=(0, 0.99), usual=0.9, summary="weight of a token against the next one in the mean"), remembers=True, summary="prefer tokens near a target probability, steering their mean towards it"),
)}
# fmt: on


def technique(name: str) -> Technique:
    """Return the technique `name`; raise UsageError with the nearest known names."""
    if name in TECHNIQUES:
        return TECHNIQUES[name]
    raise UsageError(f"unknown stage {name!r}; {_nearest(name, TECHNIQUES)}")


@cache
def parameter(name: str) -> Parameter:
    """Return the parameter `name` of whichever technique reads it; KeyError when none does."""
    return next(p for t in parameter_owners()[name] for p in t.parameters if p.name == name)


def offered() -> list[Technique]:
    """Return the techniques that a number opens, in the order of their stages; a coin would need a key a step."""
    return [item for item in TECHNIQUES.values() if not item.coin and item.parameters[0].is_number]


@cache
def parameter_owners() -> dict[str, tuple[Technique, ...]]:
    """Map every parameter name to the techniques that read it."""
    owners: dict[str, tuple[Technique, ...]] = {}
    for item in TECHNIQUES.values():
        for parameter in item.parameters:
            owners[parameter.name] = (*owners.get(parameter.name, ()), item)
    return owners


def opened_by(names: Iterable[str]) -> tuple[str, ...]:
    """Return the stages that these parameters open, in the order of the names.

    A parameter opens the stage that it stands first in, unless a stage that another one opens reads it too.

    >>> opened_by(["top_k", "temperature"]), opened_by(["temperature", "dynatemp_range"])
    (('top_k', 'temperature'), ('dynatemp',))
    """
    opened = [item for name in dict.fromkeys(names) for item in TECHNIQUES.values() if item.parameters[0].name == name]
    taken = {parameter.name for item in opened for parameter in item.parameters[1:]}
    return tuple(item.name for item in opened if item.parameters[0].name not in taken)


@cache
def load(path: str) -> Any:
    """Import "module:attribute"."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _nearest(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    return (f"did you mean {close[0]!r}? " if close else "") + "known: " + ", ".join(known)
