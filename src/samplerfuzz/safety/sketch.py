"""The distribution of one number over many steps, mergeable: moments (Pébay 2008) and counts in bins that are narrow where the number is small."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_WIDTH = 0.005  # of a bin in asinh(x): about 0.5 % of x, 0.005 near 0


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """The distribution of one number.

    Attributes:
      count: values.
      mean, m2: their mean, and the sum of their squared distances from it.
      least, greatest: of them; NaN where there are none.
      bins: bin -> values in it.
    """

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    least: float = math.nan
    greatest: float = math.nan
    bins: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Iterable[float]) -> Sketch:
        """Return the distribution of finite values."""
        data = list(values)
        if not data:
            return cls()
        mean = math.fsum(data) / len(data)
        return cls(
            count=len(data),
            mean=mean,
            m2=math.fsum((x - mean) ** 2 for x in data),
            least=min(data),
            greatest=max(data),
            bins=dict(sorted(Counter(math.floor(math.asinh(x) / _WIDTH) for x in data).items())),
        )

    @property
    def sd(self) -> float:
        """Standard deviation, population convention; 0 where there are no values."""
        return math.sqrt(self.m2 / self.count) if self.count else 0.0

    def merge(self, other: Sketch) -> Sketch:
        """Return the distribution of both.

        >>> both = Sketch.of([1.0, 2.0]).merge(Sketch.of([6.0]))
        >>> both.count, both.mean, both.m2
        (3, 3.0, 14.0)
        """
        if not (self.count and other.count):
            return self if self.count else other
        count, gap = self.count + other.count, other.mean - self.mean
        return Sketch(
            count=count,
            mean=self.mean + gap * (other.count / count),
            m2=self.m2 + other.m2 + gap**2 * (self.count * other.count / count),
            least=min(self.least, other.least),
            greatest=max(self.greatest, other.greatest),
            bins=dict(sorted((Counter(self.bins) + Counter(other.bins)).items())),
        )

    def quantile(self, q: float) -> float:
        """Return a value that a share `q` of the values is at most, up to a bin's width; NaN where there are none."""
        wanted, seen = max(1, math.ceil(q * self.count)), 0
        for at, count in self.bins.items():
            seen += count
            if seen >= wanted:
                return min(max(math.sinh((at + 0.5) * _WIDTH), self.least), self.greatest)
        return math.nan

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data, with quantiles for people to read."""
        ends = {} if not self.count else {"least": self.least, "greatest": self.greatest}
        read = {} if not self.count else {f"q{q:g}": self.quantile(q) for q in (0.005, 0.05, 0.5, 0.95, 0.995)}
        bins = [[at, count] for at, count in self.bins.items()]
        return {"count": self.count, "mean": self.mean, "sd": self.sd, "m2": self.m2, **ends, **read, "bins": bins}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sketch:
        """Invert `to_json`; KeyError, TypeError or ValueError where it is no such data."""
        bins = {int(at): int(count) for at, count in data["bins"]}
        numbers = {name: float(data[name]) for name in ("mean", "m2", "least", "greatest") if name in data}
        if sum(bins.values()) != data["count"] or not all(map(math.isfinite, numbers.values())) or min(bins.values(), default=1) < 1:
            raise ValueError("counts that do not add up, or a number that is not finite")
        return cls(count=int(data["count"]), bins=bins, **numbers)
