"""The independent judge: what a policy's words mean for a value, told from the value as it goes over the wire and from exact fractions.

It shares data with the validators (bounds, names of parameters) and no code: a value is written as JSON, and that text is a number or is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from samplerfuzz.core.registry import parameter
from samplerfuzz.safety.bounds import Bound, default_bounds
from samplerfuzz.safety.names import OTHER_FIELDS, canonical
from samplerfuzz.safety.policy import Policy

ABSENT, INSIDE, OUTSIDE, IMPOSSIBLE = "absent", "inside", "outside", "impossible"
ENDLESS = "endless"
_GRAVITY = (ABSENT, INSIDE, OUTSIDE, ENDLESS, IMPOSSIBLE)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_ID = re.compile(r"[0-9]+")


class Judge:
    """Says of each field what a policy says of it."""

    def __init__(self, policy: Policy) -> None:
        """Judge by the bounds of a policy."""
        self.policy = policy

    def verdict(self, called: Any, value: Any) -> str:
        """Return what a value is to the policy.

        Returns:
          ABSENT: no sampling parameter, or null. INSIDE: it may pass. OUTSIDE: a finite number out of range. ENDLESS: an infinity.
          IMPOSSIBLE: no policy lets it pass, and nothing is near it.
        """
        name = canonical(called)
        if name is None or value is None:
            return ABSENT
        kind = parameter(name).kind
        if kind == "ids":
            return self._ids(value, texts=name == "dry_sequence_breakers")
        if kind == "bias":
            return self._bias(name, value)
        return self._number(name, value)

    def verdicts(self, config: Mapping[Any, Any]) -> dict[Any, str]:
        """Return the verdict of each field that is a sampling parameter and not null."""
        found = {called: self.verdict(called, value) for called, value in config.items()}
        return {called: verdict for called, verdict in found.items() if verdict != ABSENT}

    def strangers(self, config: Mapping[Any, Any]) -> list[Any]:
        """Return the fields that are neither sampling parameters nor known not to be."""
        return [called for called in config if canonical(called) is None and not (isinstance(called, str) and called in OTHER_FIELDS)]

    def lets_pass(self, called: Any, value: Any) -> bool:
        """Whether a forwarded field is one that the policy lets pass, as it is."""
        verdict, name = self.verdict(called, value), canonical(called)
        if verdict == OUTSIDE and name is not None:
            return self.bound(name).action == "flag"
        return verdict in (ABSENT, INSIDE)

    def bound(self, name: str) -> Bound:
        """Return the range of a parameter that has one; the shipped one where the policy states none."""
        return self.policy.parameters[name] if name in self.policy.parameters else default_bounds()[name]

    def _number(self, name: str, value: Any) -> str:
        number = exact(value)
        if isinstance(number, str):
            return ENDLESS if number in ("Infinity", "-Infinity") and not self._is_forbidden(name, number == "-Infinity") else IMPOSSIBLE
        if parameter(name).kind in ("integer", "switch") and number.denominator != 1:
            return IMPOSSIBLE
        if self._is_forbidden(name, number < 0):
            return IMPOSSIBLE
        bound = self.bound(name)
        return INSIDE if Fraction(bound.minimum) <= number <= Fraction(bound.maximum) else OUTSIDE

    def _is_forbidden(self, name: str, is_negative: bool) -> bool:
        return name == "temperature" and is_negative and not self.policy.allow_negative_temperature

    def _bias(self, name: str, value: Any) -> str:
        pairs: list[Any]
        if isinstance(value, dict):
            if not all(_is_id(token) or (isinstance(token, str) and _ID.fullmatch(token) and token.isascii()) for token in value):
                return IMPOSSIBLE
            pairs = list(value.items())
        elif isinstance(value, list | tuple):
            if not all(
                isinstance(pair, list | tuple) and len(pair) == 2 and (isinstance(pair[0], str) or _is_id(pair[0])) for pair in value
            ):
                return IMPOSSIBLE
            pairs = [pair for pair in value if pair[1] is not False]
        else:
            return IMPOSSIBLE
        verdicts = [IMPOSSIBLE if addend is None else self._number(name, addend) for _, addend in pairs]
        return max([INSIDE, *verdicts], key=_GRAVITY.index)

    def _ids(self, value: Any, *, texts: bool) -> str:
        if not isinstance(value, list | tuple):
            return IMPOSSIBLE
        return INSIDE if all(_is_id(token) or (texts and isinstance(token, str)) for token in value) else IMPOSSIBLE


def exact(value: Any) -> Fraction | str:
    """Return the number that a value is on the wire, or the text that it is where that is no number.

    >>> exact(0.5), exact("0.5"), exact(float("nan")), exact(True)
    (Fraction(1, 2), '"0.5"', 'NaN', 'true')
    """
    if isinstance(value, np.generic):
        value = float(value) if isinstance(value, np.longdouble) else value.item()
    if type(value) is int:
        return Fraction(value)  # of any length: the text of a long one is refused
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return "no JSON"
    return Fraction(float(text)) if _NUMBER.fullmatch(text) else text


def _is_id(token: Any) -> bool:
    number = exact(token) if isinstance(token, int | np.integer) else "no id"
    return isinstance(number, Fraction) and number >= 0
