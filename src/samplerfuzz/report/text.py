"""Text and numbers of a target, made harmless: whatever it printed or returned fits on a terminal, in XML and in JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def printable(text: object) -> str:
    """Return `text` with every control, bidirectional and unassigned character spelled out.

    >>> printable("red\\x1b[31m")
    'red\\\\x1b[31m'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def json_ready(value: Any) -> Any:
    """Return `value` as strict JSON data: NaN and the infinities become their names, arrays lists.

    >>> json_ready({"p": [0.5, float("nan")]})
    {'p': [0.5, 'nan']}
    """
    if isinstance(value, np.ndarray | np.generic):
        return json_ready(value.tolist())
    if isinstance(value, dict):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def number(value: Any) -> str:
    """Return a number in at most six significant digits, a true minus sign left out.

    >>> number(0.1), number(3.0), number(-math.inf)
    ('0.1', '3', '-inf')
    """
    if isinstance(value, bool | str) or value is None:
        return printable(value)
    if isinstance(value, int | np.integer):
        return str(int(value))
    return f"{float(value):.6g}"


def rounded(value: float | str) -> str:
    """Return a measured number, or the name of one, in three significant digits.

    >>> rounded(0.0307125), rounded("nan"), rounded(1.0)
    ('0.0307', 'nan', '1')
    """
    return f"{float(value):.3g}"


def shortest(value: Any) -> str:
    """Return the shortest text that reads back as the same float32 or float64.

    >>> shortest(np.float32(0.1)), shortest(2.0)
    ('0.1', '2')
    """
    if isinstance(value, np.float32):
        text = np.format_float_positional(value, trim="-") if 1e-4 <= abs(value) < 1e16 or value == 0 else str(value)
    else:
        text = repr(float(value))
    return text.removesuffix(".0")


def compact(value: float) -> str:
    """Return a count in at most seven characters.

    >>> compact(1234567), compact(999)
    ('1.23 M', '999')
    """
    for size, letter in ((1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return count(value)


def count(value: float) -> str:
    """Return a count with thousands separated.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{int(value):,}"
