"""JSON as RFC 8259 has it and no further: what two readers could understand differently is refused before either acts on it.

The guard judges what it reads and the server acts on what it reads. A name given twice, a NaN, a number that one of them rounds to infinity, or
text that is no UTF-8 would let a parameter past the guard; nesting without end would let a request end the process.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any

DEEPEST = 64
_LEAST, _LARGEST = -(2**63), 2**64 - 1
# strings are skipped whole: brackets count outside them only
_STRUCTURE = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]', re.DOTALL)
_SHOWN = 60


class MalformedError(ValueError):
    """A body that is refused as it stands; `code` is one word for it, `name` the parameter where one is to blame."""

    def __init__(self, code: str, message: str, name: str | None = None) -> None:
        super().__init__(message)
        self.code, self.name = code, name


def read_object(body: bytes, *, deepest: int = DEEPEST) -> dict[str, Any]:
    """Return the JSON object that `body` is.

    Args:
      body: UTF-8 without a byte order mark.
      deepest: how many arrays and objects may lie in one another.

    Raises:
      MalformedError: it is not exactly one object, or holds what readers of JSON disagree on.

    >>> read_object(b'{"top_k": 40}')
    {'top_k': 40}
    >>> read_object(b'{"top_k": 40, "top_k": -1}')
    Traceback (most recent call last):
    ...
    samplerfuzz.safety.proxy.strict_json.MalformedError: the name "top_k" is given twice; expected each name once
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("invalid_utf8", f"the body is no UTF-8: byte {error.start} is 0x{body[error.start]:02x}") from None
    if nesting(body) > deepest:
        raise MalformedError("nested_too_deeply", f"the body nests arrays and objects more than {deepest} deep; expected at most {deepest}")
    try:
        numbers = _Numbers()
        value = json.JSONDecoder(
            object_pairs_hook=numbers.once, parse_float=numbers.real, parse_int=numbers.whole, parse_constant=numbers.constant
        ).decode(text)
    except json.JSONDecodeError as error:
        raise MalformedError("invalid_json", f"the body is no JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise MalformedError("nested_too_deeply", f"the body is nested too deeply; expected at most {deepest}") from None
    if not isinstance(value, dict):
        raise MalformedError("not_an_object", f"the body is {_KINDS.get(type(value), 'a number')}; expected a JSON object")
    return value


def nesting(body: bytes) -> int:
    """Return how deep arrays and objects lie in one another, strings aside.

    >>> nesting(b'{"a": [[1], "[[["]}')
    3
    """
    depth = most = 0
    for found in _STRUCTURE.finditer(body):
        mark = body[found.start()]
        if mark in b"[{":
            depth += 1
            most = max(most, depth)
        elif mark in b"]}":
            depth -= 1
    return most


class _Refused:
    """A number that is refused, in the place where it stood."""

    def __init__(self, code: str, text: str, expected: str) -> None:
        self.code, self.expected = code, expected
        self.text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


class _Numbers:
    """What the decoder asks of one body: numbers, and the names they stand under."""

    def __init__(self) -> None:
        self.refused: list[_Refused] = []

    def real(self, text: str) -> float | _Refused:
        value = float(text)
        return value if math.isfinite(value) else self._no("number_too_large", text, "expected a magnitude of at most 1.79e308")

    def whole(self, text: str) -> int | _Refused:
        if len(text) > 20 or not _LEAST <= int(text) <= _LARGEST:
            return self._no("number_too_large", text, f"expected an integer from {_LEAST} to {_LARGEST}")
        return int(text)

    def constant(self, text: str) -> _Refused:
        return self._no("not_json", text, "JSON has no such literal: expected a finite number")

    def once(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = _second(name for name, _ in pairs)[:_SHOWN]
            raise MalformedError("duplicate_key", f"the name {json.dumps(twice)} is given twice; expected each name once", twice)
        if self.refused:
            item = self.refused[0]
            name = next((name for name, value in pairs if _holds(value, item)), "")[:_SHOWN]
            raise MalformedError(item.code, f"{name} is or holds {item.text}; {item.expected}", name or None)
        return found

    def _no(self, code: str, text: str, expected: str) -> _Refused:
        self.refused.append(_Refused(code, text, expected))
        return self.refused[-1]


def _second(names: Iterable[str]) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""


def _holds(value: Any, item: _Refused) -> bool:
    return value is item or (isinstance(value, list) and any(_holds(one, item) for one in value))


_KINDS = {list: "an array", str: "a string", bool: "a truth value", type(None): "null"}
