"""What is known of a row after some stages: scaled logits with error bars, and the three sets must, may, never.

Every stage maps a belief to a belief, so uncertainty travels down the chain: where a tie or a rounding band leaves the
kept set open, the later stages compute bounds over all sets in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np

from samplerfuzz.core.errors import UsageError
from samplerfuzz.oracle.ranking import Ranking

_HUGE = 1e300
_LOG_UNDERFLOW = -83.0
_LEAST_NORMAL = 1.2e-38
_HEAVIEST = 600.0  # logarithm of a weight: the sum over a whole vocabulary stays finite


@dataclass(frozen=True, kw_only=True)
class Precision:
    """The arithmetic a target declares.

    Attributes:
      unit: unit roundoff (half an ulp at 1).
      largest: largest finite number.
      underflow: a probability ratio below which a value may be flushed to zero.
      grain: distance between the smallest numbers: no probability is known better.
    """

    unit: float
    largest: float
    underflow: float
    grain: float

    def mass_band(self, vocabulary: int) -> float:
        """Return the largest honest error of a sum of `vocabulary` probabilities: n·u for any order of addition."""
        return min(0.5, (vocabulary + 64) * self.unit)


def precision(dtype: str) -> Precision:
    """Return the arithmetic of `dtype`: float64, float32, float16 or bfloat16.

    A float64 declaration is given float32 bands: logits arrive as float32 and intermediate casts are common.
    """
    known = {"float64": np.float32, "float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
    if dtype not in known:
        raise UsageError(f"unknown dtype {dtype!r}; known: {', '.join(known)}")
    info = ml_dtypes.finfo(known[dtype])
    return Precision(
        unit=float(info.eps) / 2, largest=float(info.max), underflow=float(info.tiny) * 64, grain=float(info.smallest_subnormal)
    )


@dataclass(frozen=True, kw_only=True)
class Belief:
    """Rows after some stages of a chain.

    Attributes:
      z: [R, V] float64 nominal logits; -inf where the input masked the token.
      error: [R, V] float64 bound of |honest value - z|; inf where order is lost.
      given: [R, V] float64 logits as they were given.
      must: [R, V] bool, kept by every correct implementation.
      may: [R, V] bool, kept by some (disjoint from must). The rest is never.
      least: [R] int, fewest tokens a correct implementation keeps.
      most: [R] int, most tokens a correct implementation keeps.
      greedy: [R] bool, rows decided by arg-max (temperature 0): any share among ties is fair.
    """

    z: np.ndarray
    error: np.ndarray
    given: np.ndarray
    must: np.ndarray
    may: np.ndarray
    least: np.ndarray
    most: np.ndarray
    greedy: np.ndarray
    arithmetic: Precision

    @property
    def possible(self) -> np.ndarray:
        """[R, V] bool: must or may."""
        return self.must | self.may

    @cached_property
    def span(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest honest logits [R, V], -inf where the input masked the token; a lost order spans everything but stays finite.

        Narrowing leaves them as they are: what was removed must get no weight from whoever reads them.
        """
        inside = self.z > -np.inf
        z = np.where(inside, self.z, 0.0)
        top = np.where(self.possible, self.z, -np.inf).max(-1, keepdims=True, initial=-np.inf)
        # many samplers compare probabilities, not logits: what differs by less than the rounding of exp may tie
        blur = np.abs(z - np.where(np.isfinite(top), top, 0.0))
        np.minimum(blur, 1e3, out=blur)
        blur += 1
        blur *= 4 * self.arithmetic.unit
        blur += self.error
        # an interval has a width even where it is beyond the resolution of float64: equal logits must overlap
        blur += np.abs(z) * 2.0**-51
        np.minimum(blur, _HUGE, out=blur)
        low, high = z - blur, z + blur
        low[~inside] = high[~inside] = -np.inf
        return low, high

    @cached_property
    def ranking(self) -> Ranking:
        """The tokens by logit; removed ones have a place too and must get no weight.

        Many samplers rank probabilities. Below the normal numbers of the dtype these lie on a grid: those that it takes for the
        same number tie, zero above all, whatever their logits are.
        """
        low, high = self.span
        grain = self.arithmetic.grain
        top = np.where(self.possible, self.z, -np.inf).max(-1, keepdims=True, initial=-np.inf)
        depth = low - np.where(np.isfinite(top), top, 0.0)
        inside = (self.z > -np.inf) & (self.z < top)
        deep = np.log(grain * self.z.shape[-1] / self.arithmetic.unit) if grain > 0 else -np.inf
        rows = np.flatnonzero((inside & (depth < deep)).any(-1))
        if len(rows):
            low, high = low.copy(), high.copy()
            low[rows], high[rows] = self._on_a_grid(low[rows], high[rows], top[rows], inside[rows])
        return Ranking(low=low, high=high, alike=self.alike)

    def _on_a_grid(self, low: np.ndarray, high: np.ndarray, top: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of intervals [R, V], wider by what the rounding of a probability to the dtype's grid moves a logit by."""
        with np.errstate(under="ignore", divide="ignore", invalid="ignore"):
            least, most = np.exp(np.minimum(low - top, 0)), np.exp(np.minimum(high - top, 0))
            # a step of the grid, as a share of the weight of the best token
            step = self.arithmetic.grain * most.sum(-1, keepdims=True)
            # no further than to the others that it concerns: beside 1e30 a step is less than the resolution of float64
            coarse = inside & (least < step / self.arithmetic.unit)
            lowest = np.where(coarse, low, np.inf).min(-1, keepdims=True, initial=np.inf)
            highest = np.where(coarse, high, -np.inf).max(-1, keepdims=True, initial=-np.inf)
            below = np.where(least > step, np.maximum(top + np.log(least - step), lowest), lowest)
            above = np.minimum(top + np.log(most + step), highest)
        return np.where(coarse, np.minimum(low, below), low), np.where(coarse, np.maximum(high, above), high)

    @property
    def alike(self) -> tuple[np.ndarray, ...]:
        """What tokens that tie in every implementation have in common: the logit they were given, and what has become of it."""
        denormal = (np.abs(self.given) < _LEAST_NORMAL) & (self.given != 0)
        if not denormal.any():
            return self.given, self.z, self.error
        # whatever touches one of them, a penalty of 1 for a token of the history, may flush it and leave the others
        return self.given, self.z, self.error, np.where(denormal, np.arange(1.0, denormal.shape[-1] + 1), 0.0)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return lowest and highest honest logits [R, V], -inf for tokens of never."""
        low, high = self.span
        gone = ~self.possible
        return np.where(gone, -np.inf, low), np.where(gone, -np.inf, high)

    @cached_property
    def _scaled(self) -> tuple[np.ndarray, np.ndarray]:
        """Unnormalised probabilities [R, V] at either end, scaled by the row's maximum; 0 for tokens of never."""
        low, high = self.span
        top = np.where(self.possible, self.z, -np.inf).max(-1, keepdims=True, initial=-np.inf)
        top = np.where(np.isfinite(top), top, 0.0)
        with np.errstate(over="ignore", under="ignore"):
            least, most = np.exp(np.minimum(low - top, 0)), np.exp(np.minimum(high - top, _HEAVIEST))
        return least * self.possible, most * self.possible

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Return lowest and highest unnormalised probabilities [R, V]; the lowest of a token that may be removed is 0."""
        least, most = self._scaled
        return least * self.must, most

    def probabilities(self) -> tuple[np.ndarray, np.ndarray]:
        """Return bounds [R, V] of the probability of each token given that it is kept."""
        own_low, high = self._scaled
        sure = own_low * self.must
        others_high = high.sum(-1, keepdims=True) - high
        others_low = sure.sum(-1, keepdims=True) - sure
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            bottom = own_low / (own_low + np.maximum(others_high, 0))
            ceiling = high / (high + np.maximum(others_low, 0))
        bottom[np.isnan(bottom)] = 0.0
        ceiling[np.isnan(ceiling)] = 0.0
        return bottom, np.minimum(1.0, ceiling)

    @property
    def may_vanish(self) -> np.ndarray:
        """[R, V] bool: so far below the best that an honest probability may be flushed to zero."""
        top = np.where(self.possible, self.z, -np.inf).max(-1, keepdims=True)
        gap = np.where(self.possible, self.z, 0.0)
        gap -= np.where(np.isfinite(top), top, 0)
        gap -= np.minimum(self.error, 1e300)
        return (gap < max(_LOG_UNDERFLOW, np.log(self.arithmetic.underflow))) & self.possible

    def mass_before(self, ranking: Ranking, ties: str = "") -> tuple[np.ndarray, np.ndarray]:
        """Return bounds [R, V] of the probability mass that stands before each token in a ranking, under a tie rule of `ranking`."""
        own_low, high = self._scaled
        # where nothing is open, what is possible is sure, and need not be summed up twice
        sure, sure_high = (own_low * self.must, high * self.must) if self.may.any() else (own_low, high)
        before_least, may_precede = ranking.before(sure, sure, ties)
        must_precede, before_most = ranking.before(sure_high, high, ties)
        others_high = np.maximum(high.sum(-1, keepdims=True) - high - must_precede, 0)
        others_low = np.maximum(sure.sum(-1, keepdims=True) - sure - may_precede, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            least = before_least / (before_least + high + others_high)
            most = before_most / (before_most + own_low + others_low)
        least[np.isnan(least)] = 0.0
        most[np.isnan(most)] = 1.0
        return least, most

    def count_before(self, ranking: Ranking, ties: str = "") -> tuple[np.ndarray, np.ndarray]:
        """Return [R, V] twice: how many tokens stand before each in a ranking at the least, and at the most, under a tie rule."""
        sure = self.must * 1.0
        return ranking.before(sure, self.possible * 1.0 if self.may.any() else sure, ties)

    def narrowed(self, *, kept: np.ndarray, removed: np.ndarray, least: np.ndarray | int, most: np.ndarray | None = None) -> Belief:
        """Apply a filter: `kept` [R, V] surely pass, `removed` [R, V] surely fail; at least `least` [R] stay, at most `most` [R]."""
        possible = self.possible & ~removed
        must = self.must & kept & ~removed
        least = np.maximum(1, np.minimum(least, possible.sum(-1)))
        most = np.maximum(1, np.minimum(self.most if most is None else np.minimum(self.most, most), possible.sum(-1)))
        least = np.minimum(least, self.least) if self.may.any() else least
        return self.replaced(must=must, may=possible & ~must, least=least, most=most)

    def intersected(self, other: Belief) -> Belief:
        """Return what both beliefs keep; where they exclude each other, what `self` keeps."""
        possible = self.possible & other.possible
        possible = np.where(possible.any(-1, keepdims=True), possible, self.possible)
        must = self.must & other.must
        least = np.minimum(np.minimum(self.least, other.least), possible.sum(-1))
        most = np.minimum(np.minimum(self.most, other.most), possible.sum(-1))
        return self.replaced(must=must, may=possible & ~must, least=least, most=most)

    def replaced(self, **changes: Any) -> Belief:
        """Return a copy with some fields changed."""
        fields = {name: getattr(self, name) for name in ("z", "error", "given", "must", "may", "least", "most", "greedy", "arithmetic")}
        changed = Belief(**{**fields, **changes})
        if changed.z is self.z and changed.error is self.error:
            changed._share(self)
        return changed

    def where(self, rows: np.ndarray, other: Belief) -> Belief:
        """Return `self` in the rows [R] where true and `other` elsewhere."""
        if rows.all():
            return self
        wide = rows[:, None]
        same = self.z is other.z and self.error is other.error
        mixed = Belief(
            z=self.z if same else np.where(wide, self.z, other.z),
            error=self.error if same else np.where(wide, self.error, other.error),
            given=self.given,
            must=np.where(wide, self.must, other.must),
            may=np.where(wide, self.may, other.may),
            least=np.where(rows, self.least, other.least),
            most=np.where(rows, self.most, other.most),
            greedy=np.where(rows, self.greedy, other.greedy),
            arithmetic=self.arithmetic,
        )
        if same:
            mixed._share(other)
        return mixed

    def _share(self, other: Belief) -> None:
        """Take over what depends on logits and errors only: sorting a row once serves every filter on it."""
        self.__dict__.update({name: other.__dict__[name] for name in ("span", "ranking") if name in other.__dict__})


def start(logits: np.ndarray, arithmetic: Precision) -> Belief:
    """Return the belief of untouched rows: every unmasked token must stay."""
    z = np.asarray(logits, np.float64)
    allowed = z > -np.inf
    rows = z.shape[0]
    size = np.abs(np.where(allowed, z, 0))
    # float32 logits are exact in float32; a denormal may be flushed to zero by the hardware
    error = np.where((size > 0) & (size < _LEAST_NORMAL), _LEAST_NORMAL, arithmetic.unit * size if arithmetic.unit > 1e-7 else 0.0)
    return Belief(
        z=z,
        error=error,
        given=z,
        must=allowed,
        may=np.zeros_like(allowed),
        least=allowed.sum(-1),
        most=allowed.sum(-1),
        greedy=np.zeros(rows, bool),
        arithmetic=arithmetic,
    )
