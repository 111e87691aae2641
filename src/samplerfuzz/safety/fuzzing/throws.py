"""What is thrown at validators: every edge of every parameter, what is no number, names that nearly are ones, and mixtures of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from samplerfuzz.cases.parameters import edges
from samplerfuzz.core.registry import parameter, parameter_owners
from samplerfuzz.safety.bounds import SAFE, is_whole
from samplerfuzz.safety.names import OTHER_FIELDS, aliases
from samplerfuzz.safety.observation import Observation
from samplerfuzz.safety.policy import Policy

_VOCABULARY = 32
_INF, _NAN, _LARGEST = math.inf, math.nan, 1.7976931348623157e308


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


# fmt: off
NUMBERS: Sequence[Any] = (
    0, 1, -1, 2, 3, 0.5, 0.0, -0.0, 1.0, 2.0, 40.0, 40.5, 1e-3, 5e-324, -5e-324, 2.0**-149, 2.0**-150, 2.2250738585072014e-308, 1e-45, 3.4028234663852886e38,
    3.5e38, _LARGEST, -_LARGEST, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 10**308, 10**400, -(10**400), 10**5000, int(_LARGEST),
    int(_LARGEST) + 1, _NAN, -_NAN, _INF, -_INF,
    np.float16(0.5), np.float32(0.1), np.float32(_NAN), np.float64(_INF), np.float64(0.7), np.float32(-_INF), np.longdouble(0.5), np.longdouble(_NAN), np.int8(1), np.uint8(255), np.int64(-1),
    np.uint64(2**64 - 1),
)
NO_NUMBERS: Sequence[Any] = (
    None, True, False, np.True_, np.False_, "", "0", "0.5", "1", "NaN", "inf", "1e999", "０.５", "null", "true", "\ud800", "x" * 100_000, "\x00", [], [0.5], [None], (), (1,), {}, {"value": 1},
    {"temperature": 1}, _nested(200), np.array(0.5), np.array([1]), Decimal("0.5"), Decimal("NaN"), Fraction(1, 2), 1 + 0j, b"1", object(), range(3), {1, 2}, Ellipsis,
)
BIASES: Sequence[Any] = (
    {0: 1.0}, {"0": 1}, {"17": -100}, {"17": 100.00000000000001}, {"-1": 1.0}, {"1.0": 1.0}, {"": 1.0}, {"²": 1.0}, {"٣": 1.0}, {True: 1.0}, {1.0: 1.0}, {None: 1.0}, {"5": None}, {"5": "1"},
    {"5": True}, {"5": _NAN}, {"5": _INF}, {"5": -_INF}, {"5": [1]}, {"5": 10**400}, {5: 1.0, "5": 2.0}, [[5, 1.0]], [[5, False]], [[5, True]], [["text", -1.0]], [[5]], [[5, 1.0, 2.0]], [5, 1.0],
    [[-1, 1.0]], [[5, _NAN]], [[5, -101]], (("5", 3.0),), {"5": 101, "6": _NAN}, {"5": 101, "6": _INF}, {10**5000: 1.0}, {"9" * 5000: 1.0}, {np.int64(3): np.float32(1)},
)
LISTS: Sequence[Any] = (
    [], [0], [0, 0], [-1], [True], [1.0], ["0"], ["\n", ":"], [None], [[0]], [10**400], [10**5000], [_NAN], [np.int64(3)], (1, 2), list(range(1000)), "012", {0: 1}, [{}],
)
NAMES: Sequence[Any] = (
    "Temperature", "TEMPERATURE", " temperature", "temperature ", "temperature\u200b", "tempеrature", "temperature\x00", "temprature", "top-p", "topP", "top_p[]", "", "\ud800", "\u202e", "x" * 100_000,
    "options", "parameters", "__proto__", "logit_biases", 1, None, ("top_p",), 0.5, b"top_p",
)
# fmt: on


def values_for(name: str, policy: Policy) -> Iterator[Any]:
    """Yield every value worth throwing as the parameter `name`: the registry's edges, the policy's own ends and what lies beside them, and the rest."""
    yield from edges(name, _VOCABULARY)
    bound = policy.parameters.get(name)
    if bound is not None and parameter(name).is_number:
        for end in (bound.minimum, bound.maximum, (bound.minimum + bound.maximum) / 2):
            yield from (
                [int(end), int(end) - 1, int(end) + 1] if is_whole(name) else [end, math.nextafter(end, -_INF), math.nextafter(end, _INF)]
            )
            yield float(end)
    if bound is not None and not parameter(name).is_number:
        yield from ({"3": end} for end in (bound.minimum, bound.maximum, bound.minimum - 1, bound.maximum + 1, bound.maximum * 2))
    kind = parameter(name).kind
    yield from (LISTS if kind == "ids" else BIASES if kind == "bias" else ())
    yield from NUMBERS
    yield from NO_NUMBERS


def single(policy: Policy) -> Iterator[dict[Any, Any]]:
    """Yield configurations of one field: every parameter and every other name of one, with every value; then names that are none."""
    for name in dict.fromkeys([*SAFE, *parameter_owners()]):
        for value in values_for(name, policy):
            yield {name: value}
    for called, name in aliases().items():
        for value in (0, 1, -1, 1e9, _NAN, _INF, "1", True, None, 10**400):
            yield {called: value}
        yield {called: 1, name: -(10**9)}
    for called in NAMES:
        for value in (1, _NAN, 10**400, {"temperature": _NAN}):
            yield {called: value}
    yield {}
    yield dict.fromkeys(sorted(OTHER_FIELDS), _NAN)


def mixtures(policy: Policy, rng: np.random.Generator) -> Iterator[dict[Any, Any]]:
    """Yield configurations of several fields, without end: most values within their bounds, some thrown."""
    names = list(parameter_owners())
    called: Mapping[str, list[str]] = {name: [name, *(c for c, n in aliases().items() if n == name)] for name in names}
    thrown = {name: list(values_for(name, policy)) for name in names}
    others = sorted(OTHER_FIELDS)
    while True:
        config: dict[Any, Any] = {}
        hostile = rng.random() < 0.6
        for index in rng.permutation(len(names))[: rng.integers(1, 8)]:
            name = names[index]
            key = called[name][rng.integers(len(called[name]))] if rng.random() < 0.2 else name
            is_thrown = hostile and rng.random() < 0.4
            config[key] = thrown[name][rng.integers(len(thrown[name]))] if is_thrown else _inside(name, policy, rng)
        if rng.random() < 0.2:
            config[others[rng.integers(len(others))]] = NO_NUMBERS[int(rng.integers(len(NO_NUMBERS)))]
        if rng.random() < 0.1:
            config[NAMES[int(rng.integers(len(NAMES)))]] = NUMBERS[int(rng.integers(len(NUMBERS)))]
        yield config


def observations() -> Iterator[Observation]:
    """Yield texts, token ids and statistics that validators of answers must bear."""
    for text in ("", " ", "\x00", "\ud800", "a " * 5000, "no " * 3, "é\u0301" * 50, "𝔘" * 1000):
        yield Observation(text=text)
    some_tokens: Sequence[Any] = (
        [],
        [0],
        [-1],
        [2**70],
        [0] * 5000,
        list(range(500)) * 2,
        np.arange(3),
        np.zeros(100, np.int32),
        (7,) * 24,
    )
    for tokens in some_tokens:
        yield Observation(tokens=tokens)
    whole: Mapping[str, Any] = {
        "entropy": 1.0,
        "varentropy": 0.0,
        "log_max_min_ratio": _INF,
        "skewness": None,
        "excess_kurtosis": _NAN,
        "kept": 1,
    }
    some_steps: Sequence[Sequence[Mapping[str, Any]]] = (
        [],
        [{}],
        [whole],
        [whole] * 100,
        [{"nan": 3}],
        [{"all_masked": 1, "entropy": None}],
        [{"entropy": 1e308}] * 3,
        [{"entropy": -1e308}],
    )
    for steps in some_steps:
        yield Observation(statistics=steps)


def _inside(name: str, policy: Policy, rng: np.random.Generator) -> Any:
    """Return a value within the bounds of `name`, the ends and plain numbers more often than not."""
    kind, bound = parameter(name).kind, policy.parameters.get(name)
    if kind == "ids" or bound is None:
        return rng.integers(0, _VOCABULARY, rng.integers(0, 4)).tolist()
    low, high = bound.minimum, bound.maximum
    near = (max(low, -10.0), min(high, 10.0)) if low <= 10 and high >= -10 else (low, high)
    number = [low, high, float(rng.uniform(*near)) if near[0] < near[1] else low][rng.integers(3)]
    number = min(max(math.floor(number), low), high) if is_whole(name) else number
    if name == "temperature" and not policy.allow_negative_temperature:
        number = max(number, 0.0) if high >= 0 else high
    return {str(rng.integers(_VOCABULARY)): number} if kind == "bias" else number
