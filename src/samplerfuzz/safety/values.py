"""One value of one parameter against its bound. Python compares its integers and floats exactly, so no value is rounded into a range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from samplerfuzz.core.registry import parameter
from samplerfuzz.safety.bounds import Bound, is_whole
from samplerfuzz.safety.results import HIGH, MEDIUM
from samplerfuzz.safety.shown import shown

NO_NUMBER, NAN, INFINITE, NEGATIVE, RANGE, TOKENS = KINDS = (
    "no number", "not a number", "infinite", "negative temperature", "out of range", "no token ids",
)  # fmt: skip
_SINGLE_LARGEST, _SINGLE_LEAST = 3.4028234663852886e38, 2**-149


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with a value.

    Attributes:
      kind: one of KINDS.
      message: a sentence with name, value and range.
      severity: "high" where no policy lets it pass, "medium" where a policy may.
      mended: the nearest allowed value; None where there is none, and clamping rejects.
      may_pass: whether the action "flag" lets it pass: a finite number outside its range.
    """

    kind: str
    message: str
    severity: str = HIGH
    mended: Any = None
    may_pass: bool = False


def fault_of(called: str, name: str, value: Any, bound: Bound | None, *, allow_negative_temperature: bool = False) -> Fault | None:
    """Return what is wrong with a value, or None.

    Args:
      called: what the request calls the parameter.
      name: what the registry calls it.
      value: whatever the request holds; null counts as not given.
      bound: of the parameter; None for a list of token ids.
      allow_negative_temperature: whether the policy lets T < 0 pass where the bound does.
    """
    if value is None:
        return None
    kind = parameter(name).kind
    if kind == "ids":
        return _ids_fault(called, name, value)
    if bound is None:
        raise KeyError(name)
    if kind == "bias":
        return _bias_fault(called, value, bound)
    fault = _number_fault(called, value, bound, whole=is_whole(name))
    number = as_number(value)
    if name == "temperature" and not allow_negative_temperature and number is not None and number < 0:
        message = f"{called}={shown(value)} is negative: the least likely tokens would come first; this policy does not allow it"
        return Fault(kind=NEGATIVE, message=message)
    return fault


def as_number(value: Any) -> float | None:
    """Return an int or float of Python for a number, None for anything else; a bool and a text are no numbers.

    >>> as_number(True), as_number("0.5"), as_number(np.float32(0.5)), as_number(3)
    (None, None, 0.5, 3)
    """
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value)
    return None


def beyond_single(value: Any) -> str:
    """Return what becomes of a number in single precision, where it is neither kept nor rounded a little; otherwise ""."""
    number = as_number(value)
    if number is None or number == 0 or math.isinf(number) or math.isnan(number):
        return ""
    return "infinite" if abs(number) > _SINGLE_LARGEST else "zero" if abs(number) < _SINGLE_LEAST else ""


def _number_fault(called: str, value: Any, bound: Bound, *, whole: bool) -> Fault | None:
    number = as_number(value)
    if number is not None and bound.holds(number) and not (whole and number != math.floor(number)):
        return None
    wanted = f"a {'whole ' if whole else ''}number in {bound.text()}"
    if number is None:
        hint = "; leave out the quotes" if isinstance(value, str) else ""
        return Fault(kind=NO_NUMBER, message=f"{called}={shown(value)} is no number; expected {wanted}{hint}")
    if isinstance(number, float) and math.isnan(number):
        return Fault(kind=NAN, message=f"{called} is NaN; expected {wanted}")
    message = f"{called}={shown(value)} is outside {bound.text()}; give {wanted}"
    if isinstance(number, float) and math.isinf(number):
        return Fault(kind=INFINITE, message=message, mended=bound.nearest(number))
    if whole and number != math.floor(number):
        return Fault(kind=NO_NUMBER, message=f"{called}={shown(value)} is no whole number; expected {wanted}")
    return Fault(kind=RANGE, message=message, severity=MEDIUM, mended=bound.nearest(number), may_pass=True)


def _bias_fault(called: str, value: Any, bound: Bound) -> Fault | None:
    """Hold a bias against the bound: an object id -> number, or llama.cpp's list of pairs (id or text, number or false)."""
    listed = isinstance(value, list | tuple)
    if not listed and not isinstance(value, Mapping):
        message = f"{called}={shown(value)} is no bias; expected an object that maps token ids to numbers in {bound.text()}"
        return Fault(kind=NO_NUMBER, message=message)
    pairs = list(value) if listed else list(value.items())
    worst: Fault | None = None
    mended: list[Any] = []
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return Fault(kind=NO_NUMBER, message=f"{called} holds {shown(pair)}; expected pairs of a token id and a number")
        token, addend = pair
        if not _is_token(token, listed=listed):
            return Fault(kind=TOKENS, message=f"{called} names the token {shown(token)}; expected an id from 0 on")
        if listed and addend is False:
            mended.append([token, addend])  # llama.cpp: never this token
            continue
        fault = _number_fault(f"{called} of the token {shown(token)}", addend, bound, whole=False)
        if fault and (worst is None or (worst.mended is not None and fault.mended is None) or (worst.may_pass and not fault.may_pass)):
            worst = fault
        mended.append([token, fault.mended if fault else addend])
    if worst is None:
        return None
    together = None if worst.mended is None else mended if listed else dict(mended)
    return Fault(kind=worst.kind, message=worst.message, severity=worst.severity, mended=together, may_pass=worst.may_pass)


def _is_token(token: Any, *, listed: bool) -> bool:
    if isinstance(token, str):
        return listed or (token.isascii() and token.isdigit())
    return isinstance(token, int | np.integer) and not isinstance(token, bool) and int(token) >= 0


def _ids_fault(called: str, name: str, value: Any) -> Fault | None:
    texts = name == "dry_sequence_breakers"  # on the wire they are texts
    wanted = "a list of texts or token ids" if texts else "a list of token ids"
    if not isinstance(value, list | tuple):
        return Fault(kind=TOKENS, message=f"{called}={shown(value)} is no list; expected {wanted}")
    for token in value:
        if not (texts and isinstance(token, str)) and (isinstance(token, str) or not _is_token(token, listed=False)):
            return Fault(kind=TOKENS, message=f"{called} holds {shown(token)}; expected {wanted}, each id from 0 on")
    return None
