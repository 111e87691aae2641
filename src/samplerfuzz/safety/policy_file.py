"""Reading a policy file: TOML or YAML, laid over the shipped policy; an error names file, line and key."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from samplerfuzz.core.dialects import DIALECTS
from samplerfuzz.core.registry import parameter_owners
from samplerfuzz.safety.bounds import Bound, default_bounds, domain, number_text
from samplerfuzz.safety.located import Key, Located, read_located
from samplerfuzz.safety.names import aliases
from samplerfuzz.safety.policy import Policy
from samplerfuzz.safety.shown import shown

_ENDS = {"min": "minimum", "max": "maximum", "default": "default", "action": "action"}


def load_policy(path: Path | None = None) -> Policy:
    """Return the policy of a file, or the shipped one: the safe ranges, out of range is rejected.

    What the file leaves out is as shipped; registry and profile are relative to the file, and are not opened here.

    Raises:
      UsageError: the file cannot be read, or says something that no policy can; with file, line and key.
    """
    if path is None:
        return Policy()
    located = read_located(path)
    said = _validated(located)
    bounds, problems = dict(default_bounds()), list[tuple[Key, str]]()
    for name, stated in said.pop("parameters", {}).items():
        if stated is not None:
            wanted = {**asdict(bounds[name]), **{_ENDS[key]: value for key, value in stated.items() if value is not None}}
            wrong = list(_bound_problems(name, wanted, stated))
            problems += wrong
            if not wrong:
                bounds[name] = Bound(**wanted)
    said.pop("version", None)
    if said["dialect"] is not None and said["dialect"] not in DIALECTS:
        problems.append((("dialect",), f"{said['dialect']!r} is no engine that samplerfuzz knows; expected one of {', '.join(DIALECTS)}"))
    problems += _temperature_problems(bounds["temperature"], allowed=said["allow_negative_temperature"])
    if problems:
        raise located.error(problems)
    files = {key: path.parent / said.pop(key) if said[key] is not None else said.pop(key) for key in ("registry", "profile")}
    return Policy(parameters=bounds, source=path, **files, **said)


def _validated(located: Located) -> dict[str, Any]:
    """Return the settings as the model reads them, defaults among them."""
    from pydantic import ValidationError

    from samplerfuzz.safety.policy_model import PolicyFile

    try:
        model = PolicyFile.model_validate(located.data)
    except ValidationError as error:
        raise located.error(_problem(item, located.data) for item in _without_echoes(error.errors(include_url=False))) from error
    return model.model_dump()


def _without_echoes(errors: Any) -> Iterator[Any]:
    seen = set[Key]()
    for item in errors:
        key = _key(item)
        if key not in seen:
            seen.add(key)
            yield item


def _key(item: Mapping[str, Any]) -> Key:
    return tuple(str(part) for part in item["loc"] if not (isinstance(part, str) and part.startswith("constrained-")))


def _problem(item: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[Key, str]:
    key = _key(item)
    if item["type"] == "extra_forbidden":
        return key, _unknown(key)
    message = item["msg"][:1].lower() + item["msg"][1:]
    hint = "; leave out the quotes" if isinstance(item["input"], str) and "valid number" in message else ""
    return key, f"{message}, found {shown(item['input'])}{hint}"


def _unknown(key: Key) -> str:
    from samplerfuzz.safety.policy_model import PolicyFile

    name, known = key[-1], list(_ENDS)
    if len(key) == 1:
        known = list(PolicyFile.model_fields)
    elif len(key) == 2:
        if name in aliases():
            return f"a policy calls it {aliases()[name]!r}; requests may call it either"
        if name in parameter_owners():
            return "a list of token ids has no range; leave it out"
        known = sorted(default_bounds())
    close = difflib.get_close_matches(name, known, n=1)
    return f"unknown key; {f'did you mean {close[0]!r}? ' if close else ''}known: {', '.join(known)}"


def _bound_problems(name: str, wanted: Mapping[str, Any], stated: Mapping[str, Any]) -> Iterator[tuple[Key, str]]:
    def key(end: str) -> Key:
        """Return the key that is to blame: the end itself where the file states it, else the one that it states."""
        at = end if stated.get(end) is not None else next((e for e in ("min", "max") if stated.get(e) is not None), None)
        return ("parameters", name) if at is None else ("parameters", name, at)

    low, high = domain(name)
    minimum, maximum, default = wanted["minimum"], wanted["maximum"], wanted["default"]
    for end, value in (("min", minimum), ("max", maximum)):
        if not low <= value <= high:
            yield key(end), f"{number_text(value)} is outside [{number_text(low)}, {number_text(high)}], where {name} is defined"
    if minimum > maximum:
        yield key("min"), f"min {number_text(minimum)} is above max {number_text(maximum)}; state both ends, the smaller one first"
    elif default is not None and not minimum <= default <= maximum:
        whose = "" if stated.get("default") is not None else " shipped"
        outside = f"the{whose} default {number_text(default)} is outside [{number_text(minimum)}, {number_text(maximum)}]"
        yield key("default"), f"{outside}; state a default within"


def _temperature_problems(bound: Bound, *, allowed: bool) -> Iterator[tuple[Key, str]]:
    if bound.minimum < 0 and not allowed:
        message = f"{number_text(bound.minimum)} lets negative temperatures pass; say allow_negative_temperature = true as well"
        yield ("parameters", "temperature", "min"), message
    if allowed and bound.minimum >= 0:
        message = f"nothing passes by it while parameters.temperature.min is {number_text(bound.minimum)}; set that below zero as well"
        yield ("allow_negative_temperature",), message
