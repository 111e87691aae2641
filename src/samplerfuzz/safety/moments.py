"""Moments of a stream of numbers, to the fourth, that merge: of shards, streams and days.

What is kept are the number n, the mean and the sums M_k = Σ (x − mean)^k for k = 2, 3, 4, which two parts put together exactly; raw powers would lose
their digits. Source: Pébay, "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order statistical moments", SAND2008-6212.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from samplerfuzz.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What is known of some numbers; those that are not finite are counted and left out.

    Attributes:
      count: finite numbers.
      mean: of them.
      second, third, fourth: Σ (x − mean)^k.
      least, most: of them; +inf and −inf of none.
      left_out: NaN and infinities.
    """

    count: int = 0
    mean: float = 0.0
    second: float = 0.0
    third: float = 0.0
    fourth: float = 0.0
    least: float = math.inf
    most: float = -math.inf
    left_out: int = 0

    @classmethod
    def of(cls, numbers: ArrayLike) -> Self:
        """Return the moments of some numbers.

        >>> Moments.of([1.0, 2.0, 6.0, float("nan")]).variance, Moments.of([1.0, 2.0, 6.0, float("nan")]).left_out
        (4.666666666666667, 1)
        """
        given = np.asarray(numbers, np.float64).ravel()
        x = given[np.isfinite(given)]
        if not x.size:
            return cls(left_out=len(given))
        mean = float(x.mean())
        second, third, fourth = (float(((x - mean) ** k).sum()) for k in (2, 3, 4))
        return cls(
            count=len(x), mean=mean, second=second, third=third, fourth=fourth, least=float(x.min()), most=float(x.max()),
            left_out=len(given) - len(x),
        )  # fmt: skip

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both streams.

        >>> Moments.of([1.0, 2.0]).merge(Moments.of([6.0])).mean
        3.0
        """
        left_out = self.left_out + other.left_out
        if not (self.count and other.count):
            whole = self if self.count else other
            return replace(whole, left_out=left_out)
        a, b = self.count, other.count
        n, d = a + b, other.mean - self.mean
        second = self.second + other.second + d**2 * a * b / n
        third = self.third + other.third + d**3 * a * b * (a - b) / n**2 + 3 * d * (a * other.second - b * self.second) / n
        fourth = (
            self.fourth
            + other.fourth
            + d**4 * a * b * (a * a - a * b + b * b) / n**3
            + 6 * d**2 * (a * a * other.second + b * b * self.second) / n**2
            + 4 * d * (a * other.third - b * self.third) / n
        )
        return Moments(
            count=n, mean=self.mean + d * b / n, second=second, third=third, fourth=fourth, least=min(self.least, other.least),
            most=max(self.most, other.most), left_out=left_out,
        )  # fmt: skip

    @property
    def variance(self) -> float | None:
        """Population variance; None of nothing."""
        return self.second / self.count if self.count else None

    @property
    def skewness(self) -> float | None:
        """m₃ / m₂^{3/2}; None where all numbers are equal."""
        return self.third / self.count / (self.second / self.count) ** 1.5 if self.second > 0 else None

    @property
    def excess_kurtosis(self) -> float | None:
        """m₄ / m₂² − 3; None where all numbers are equal."""
        return self.fourth / self.count / (self.second / self.count) ** 2 - 3 if self.second > 0 else None

    def to_json(self) -> dict[str, Any]:
        """Return JSON data; what an empty stream has no value of is None."""
        return {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Invert `to_json`.

        Raises:
          UsageError: a field is missing or is no number.
        """
        empty = {"least": math.inf, "most": -math.inf}
        try:
            values = {name: empty[name] if data[name] is None and name in empty else data[name] for name in cls.__dataclass_fields__}
            counts = {name: int(values.pop(name)) for name in ("count", "left_out")}
            return cls(**counts, **{name: float(x) for name, x in values.items()})  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"moments {dict(data)!r}: expected the numbers that `Moments.to_json` wrote ({error!r})") from error
