"""Exact encoding of numbers: JSON and reproducers carry every bit, NaN and the infinities included."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def encode(value: Any) -> Any:
    """Return `value` as JSON-ready data; finite non-integral floats become hex strings, the others names.

    >>> encode([1.0, 0.1, float("-inf")])
    [1.0, '0x1.999999999999ap-4', '-inf']
    """
    if isinstance(value, np.ndarray):
        return encode(value.tolist())
    if isinstance(value, np.generic):
        return encode(value.item())
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, float):
        if math.isnan(value) or math.isinf(value):
            return str(value)
        return value if value.is_integer() and abs(value) < 2**53 and not (value == 0 and math.copysign(1, value) < 0) else value.hex()
    return value


def decode(value: Any) -> Any:
    """Invert `encode` (arrays come back as lists).

    >>> decode(encode([0.1, float("inf"), 3]))
    [0.1, inf, 3]
    """
    if isinstance(value, dict):
        return {key: decode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, str):
        try:
            return float.fromhex(value)
        except (ValueError, OverflowError):
            return value
    return value
