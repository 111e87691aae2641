"""Values of a request as text and as JSON, whatever they are: an integer of a million digits, NaN, a lone surrogate, a stranger's object.

A guard writes hostile values into answers and logs, so nothing here calls a method of theirs, and nothing grows with them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_LONGEST = 60
_MOST_BITS = 128


def shown(value: Any) -> str:
    r"""Return at most a line about `value`.

    >>> shown(0.5), shown("0.5"), shown(10**5000), shown([1, 2]), shown(float("nan"))
    ('0.5', "'0.5'", 'an integer of 16610 bits', 'a list of 2', 'NaN')
    """
    if value is None:
        return "null"
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, np.integer | np.floating):
        value = value.item() if not isinstance(value, np.longdouble) else float(value)
    if type(value) is int:
        return str(value) if value.bit_length() <= _MOST_BITS else f"an integer of {value.bit_length()} bits"
    if type(value) is float:
        return "NaN" if math.isnan(value) else repr(value)
    if type(value) is str:
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in value[:_LONGEST])
        return f"'{text[:_LONGEST]}'" + ("…" if len(value) > _LONGEST else "")
    if type(value) is dict:
        return f"an object of {len(value)}"
    if type(value) in (list, tuple):
        return f"a list of {len(value)}"
    return f"a value of the type {type(value).__name__[:_LONGEST]}"


def as_json(value: Any) -> Any:
    """Return `value` where JSON has it and it is short, otherwise what `shown` says of it.

    >>> as_json(0.5), as_json(float("inf")), as_json({"a": [1]})
    (0.5, 'inf', 'an object of 1')
    """
    if isinstance(value, np.integer | np.floating) and not isinstance(value, np.longdouble):
        value = value.item()
    if value is None or type(value) is bool:
        return value
    if type(value) is int and value.bit_length() <= _MOST_BITS:
        return value
    if type(value) is float and math.isfinite(value):
        return value
    return shown(value)[1:-1] if type(value) is str and len(value) <= _LONGEST else shown(value)
