"""What a policy says about one parameter, and the shipped bounds: the safe ranges, and for the rest what a person may ask for at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from samplerfuzz.core.errors import UsageError
from samplerfuzz.core.registry import parameter, parameter_owners

REJECT, CLAMP, FLAG = ACTIONS = ("reject", "clamp", "flag")
_LARGEST_INTEGER = 2**31 - 1  # engines keep integers in 32 bits

# the safe ranges: minimum, maximum, default
SAFE: Mapping[str, tuple[float, float, float]] = {"temperature": (0.0, 2.0, 1.0), "top_k": (0, 100, 50), "top_p": (0.1, 1.0, 0.9)}


@dataclass(frozen=True, kw_only=True)
class Bound:
    """The closed range of one parameter.

    Attributes:
      minimum, maximum: finite ends; both belong to the range. Of a bias, the ends of each addend.
      default: value within the range, or None.
      action: what happens to a number outside: "reject", "clamp" to the nearest end, or "flag" and let pass.
    """

    minimum: float
    maximum: float
    default: float | None = None
    action: str = REJECT

    def __post_init__(self) -> None:
        """Refuse a range that is none: UsageError."""
        ends = (self.minimum, self.maximum, *(() if self.default is None else (self.default,)))
        if not all(-math.inf < end < math.inf for end in ends) or self.minimum > self.maximum:
            raise UsageError(
                f"the range [{self.minimum}, {self.maximum}] with default {self.default}: expected finite numbers, the smaller first"
            )
        if self.action not in ACTIONS:
            raise UsageError(f"action={self.action!r}: expected one of {', '.join(ACTIONS)}")
        if self.default is not None and not self.holds(self.default):
            raise UsageError(f"default={self.default} is outside {self.text()}; give one within")

    def holds(self, value: float) -> bool:
        """Whether the range holds a number; it never holds NaN.

        >>> bound = Bound(minimum=0.0, maximum=2.0)
        >>> bound.holds(2), bound.holds(float("nan")), bound.holds(10**400)
        (True, False, False)
        """
        return self.minimum <= value <= self.maximum

    def nearest(self, value: float) -> float:
        """Return the end of the range nearest to a number outside of it, or the number inside."""
        return self.minimum if value < self.minimum else self.maximum if value > self.maximum else value

    def text(self) -> str:
        """Return the range as people write it."""
        return f"[{number_text(self.minimum)}, {number_text(self.maximum)}]"


def number_text(value: float) -> str:
    """Return a number at the length that reads back as the same one."""
    return str(value) if isinstance(value, int) else repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


@cache
def bounded() -> tuple[str, ...]:
    """Return the parameters that have bounds: every one of the registry but lists of token ids."""
    return tuple(name for name in parameter_owners() if parameter(name).kind != "ids")


def domain(name: str) -> tuple[float, float]:
    """Return the finite closed range in which the technique of a parameter is defined: no policy may allow more."""
    return _finite(name, *parameter(name).meaning)


def default_bounds() -> dict[str, Bound]:
    """Return the shipped bounds, each with the action "reject"."""
    return dict(_shipped())


@cache
def _shipped() -> Mapping[str, Bound]:
    bounds = {}
    for name in bounded():
        item = parameter(name)
        low, high = _finite(name, *item.asked)
        low, high, default = SAFE.get(name, (low, high, None))
        bounds[name] = Bound(minimum=low, maximum=high, default=default)
    return bounds


def is_whole(name: str) -> bool:
    """Whether the values of a parameter are whole numbers."""
    return parameter(name).kind in ("integer", "switch")


def _finite(name: str, low: float, high: float) -> tuple[float, float]:
    largest = float(_LARGEST_INTEGER) if is_whole(name) else math.nextafter(math.inf, 0)
    low, high = max(low, -largest), min(high, largest)
    return (int(low), int(high)) if is_whole(name) else (float(low), float(high))
