"""Parameters that cancel each other: what is given and changes nothing, told from the registry and from what each stage does to one token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from samplerfuzz.core.registry import TECHNIQUES, Technique, parameter
from samplerfuzz.safety.names import owners
from samplerfuzz.safety.values import as_number

# what must not be neutral for a stage to act, where it is not its first parameter
_SWITCHES: Mapping[str, str] = {"xtc": "xtc_probability", "mirostat": "mirostat"}
# these filters may drop the most probable token, so they act even where only that one is asked for
_MAY_DROP_THE_BEST = frozenset({"typical_p", "xtc", "mirostat"})


def without_effect(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield parameters that change nothing beside the others, each with the reason.

    Args:
      given: registry's name -> value within its domain.

    >>> list(without_effect({"temperature": 0, "top_p": 0.9}))
    [('top_p', 'temperature=0 is greedy: the most probable token is kept by it anyway')]
    """
    reason, culprit = _only_one_left(given)
    for name in given:
        readers = owners()[name]
        if reason and name != culprit and all(_is_spared_by_one(item, culprit) for item in readers) and not _is_neutral(name, given[name]):
            yield name, reason
        elif all(name != switch_of(item) for item in readers) and not any(is_active(item, given) for item in readers):
            switches = "a filter" if len(readers) > 3 else " or ".join(switch_of(item) for item in readers)
            yield name, f"nothing reads it unless {switches} is given and not neutral"


def contradictions(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield parameters that leave no token to choose, each with the reason."""
    allowed, forbidden = given.get("allowed_tokens"), given.get("forbidden_tokens") or []
    if allowed is None:
        return
    if not allowed:
        yield "allowed_tokens", "the list is empty: no token is left"
    elif set(allowed) <= set(forbidden):
        yield "allowed_tokens", "every token of the list is forbidden as well: no token is left"


def is_active(item: Technique, given: Mapping[str, Any]) -> bool:
    """Whether a technique is asked for and not switched off."""
    switch = switch_of(item)
    return switch in given and not _is_neutral(switch, given[switch]) and not (item.name == "xtc" and given.get("xtc_threshold") == 1)


def switch_of(item: Technique) -> str:
    """Return the parameter that must not be neutral for a technique to act."""
    return _SWITCHES.get(item.name, item.parameters[0].name)


def _is_neutral(name: str, value: Any) -> bool:
    neutral = parameter(name).neutral
    return value is None or (neutral is not None and as_number(value) == neutral)


def _only_one_left(given: Mapping[str, Any]) -> tuple[str, str]:
    """Return why only the most probable token can come, and the parameter that sees to it; empty texts where others can."""
    if given.get("temperature") == 0 and not is_active(TECHNIQUES["dynatemp"], given):
        return "temperature=0 is greedy: the most probable token is kept by it anyway", "temperature"
    # at T < 0 it depends on the order of the stages which token is left
    if given.get("temperature", 1) > 0 and given.get("min_tokens_to_keep", 1) == 1:
        if given.get("top_k") == 1:
            return "top_k=1 leaves one token", "top_k"
        if given.get("min_p") == 1:
            return "min_p=1 leaves the most probable token", "min_p"
    return "", ""


def _is_spared_by_one(item: Technique, culprit: str) -> bool:
    """Whether a stage changes nothing where one token is left."""
    if item.name in _MAY_DROP_THE_BEST or item.reads_history or item.remembers:
        return False
    return item.filters or (item.name in ("temperature", "dynatemp") and culprit != "temperature")
