"""Exact numbers as Python source: short where a short form has the same bits, hexadecimal where none has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_SHORT = 9


def literal(value: Any) -> str:
    """Return Python source of a nested list; `X` stands for float.fromhex, `inf` and `nan` for themselves.

    >>> literal([0.5, 0.1 + 0.2, float("-inf")])
    "[0.5, X('0x1.3333333333334p-2'), -inf]"
    >>> literal([[0.0, 0.0, 0.0, 0.0]])
    '[[0.0] * 4]'
    """
    if isinstance(value, np.ndarray | np.generic):
        return literal(value.tolist())
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        items = [literal(item) for item in value]
        if len(items) > 3 and len(set(items)) == 1:
            return f"[{items[0]}] * {len(items)}"
        return "[" + ", ".join(items) + "]"
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return repr(value) if len(repr(value)) <= _SHORT else f"X({value.hex()!r})"
    return repr(value)
