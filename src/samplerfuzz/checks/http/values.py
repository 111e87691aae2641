"""What is sent for a parameter of a server: values of the common domain, edges, and what is no value at all."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from samplerfuzz.core.registry import parameter, parameter_owners

# name at the servers -> name in the registry, where they differ
_CALLED = {"repeat_penalty": "repetition_penalty", "repeat_last_n": "penalty_last_n"}
_WHOLE = 100.0  # an upper end where the registry says "the size of the vocabulary"
_LARGEST = 3.4028234663852886e38
NUMBERS = (
    -1,
    0,
    1,
    -0.5,
    0.5,
    1.5,
    2,
    1e-45,
    1e-300,
    1e39,
    -1e39,
    1e308,
    _LARGEST,
    2**31 - 1,
    2**31,
    -(2**31) - 1,
    2**32 + 1,
    2**63,
    2**64 + 1,
)
NONSENSE: tuple[tuple[str, Any], ...] = (
    ("a word", "hot"),
    ("a list", [1]),
    ("a mapping", {"a": 1}),
    ("NaN", math.nan),
    ("infinity", math.inf),
    ("infinity", -math.inf),
)
# what switches on the rule that reads a parameter: a companion of a rule that is off is read by nobody
BESIDE: dict[str, dict[str, Any]] = {
    "xtc_threshold": {"xtc_probability": 0.5},
    "dynatemp_exponent": {"dynatemp_range": 0.5},
    "mirostat_tau": {"mirostat": 2},
    "mirostat_eta": {"mirostat": 2},
    "repeat_last_n": {"repeat_penalty": 1.1},
    "dry_base": {"dry_multiplier": 0.8},
    "dry_allowed_length": {"dry_multiplier": 0.8},
    "dry_penalty_last_n": {"dry_multiplier": 0.8},
    "adaptive_decay": {"adaptive_target": 0.5},
}
BIASES: tuple[Any, ...] = (
    {},
    [],
    [[0, 1.0]],
    [[-1, 1.0]],
    [[2**31 - 1, 1.0]],
    [[2**40, 1.0]],
    [[0, False]],
    [[0]],
    [[]],
    [[0, "x"]],
    [["", 1.0]],
    {"0": 1.0},
    {"x": 1.0},
    {"-1": 5},
    [[0, 1e39]],
    [[0, math.nan]],
    "x",
    1,
)
COUNTS: tuple[Any, ...] = (-1, -5, 0, 1, 2**31 - 1, 2**31, 2**63, 1.5, 1e300, "x", [1], None)


def common(name: str) -> tuple[float, float] | None:
    """Return the closed range in which refusing is a finding, None where a parameter has no such range."""
    name = _CALLED.get(name, name)
    if name == "seed":
        return 0, 2**31 - 1
    if name not in parameter_owners() or not parameter(name).is_number:
        return None
    low, high = parameter(name).common
    return (low, _WHOLE) if math.isinf(high) else (low, high)


def is_whole(name: str) -> bool:
    """Whether a parameter takes whole numbers only."""
    name = _CALLED.get(name, name)
    return name == "seed" or (name in parameter_owners() and parameter(name).kind in ("integer", "switch"))


def is_legal(name: str, value: Any) -> bool:
    """Whether a value lies in the common domain."""
    ends = common(name)
    if ends is None or isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return ends[0] <= value <= ends[1] and (not is_whole(name) or isinstance(value, int))


def numbers(name: str) -> Iterator[int | float]:
    """Yield the numbers worth sending, the common ones first."""
    ends = common(name)
    if ends is not None:
        middle = (ends[0] + ends[1]) / 2
        yield from (int(x) if is_whole(name) else float(x) for x in (*ends, middle))
    name = _CALLED.get(name, name)
    edges = parameter(name).edges if name in parameter_owners() else ()
    for value in dict.fromkeys((*NUMBERS, *edges)):
        if math.isfinite(value):
            yield int(value) if float(value).is_integer() and abs(value) < 1e20 and is_whole(name) else value
