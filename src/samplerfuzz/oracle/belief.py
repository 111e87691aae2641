"""What is known of a row after some stages: scaled logits with error bars, and the three sets must, may, never.

Every stage maps a belief to a belief, so uncertainty travels down the chain: where a tie or a rounding band leaves the
kept set open, the later stages compute bounds over all sets in between.
"""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np

from samplerfuzz.core.errors import UsageError

_HUGE = 1e300


@dataclass(frozen=True, kw_only=True)
class Precision:
    """The arithmetic a target declares.

    Attributes:
      unit: unit roundoff (half an ulp at 1).
      largest: largest finite number.
      underflow: a probability ratio below which a value may be flushed to zero.
    """

    unit: float
    largest: float
    underflow: float

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
    return Precision(unit=float(info.eps) / 2, largest=float(info.max), underflow=float(info.tiny) * 64)


@dataclass(frozen=True, kw_only=True)
class Belief:
    """Rows after some stages of a chain.

    Attributes:
      z: [R, V] float64 nominal logits; -inf where the input masked the token.
      error: [R, V] float64 bound of |honest value - z|; inf where order is lost.
      must: [R, V] bool, kept by every correct implementation.
      may: [R, V] bool, kept by some (disjoint from must). The rest is never.
      least: [R] int, fewest tokens a correct implementation keeps.
      greedy: [R] bool, rows decided by arg-max (temperature 0): any share among ties is fair.
    """

    z: np.ndarray
    error: np.ndarray
    must: np.ndarray
    may: np.ndarray
    least: np.ndarray
    greedy: np.ndarray
    arithmetic: Precision

    @property
    def possible(self) -> np.ndarray:
        """[R, V] bool: must or may."""
        return self.must | self.may

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return lowest and highest honest logits [R, V]; a lost order spans everything but stays finite."""
        z = np.where(np.isfinite(self.z), self.z, 0.0)
        masked = ~self.possible
        top = np.where(masked, -np.inf, z).max(-1, keepdims=True, initial=-np.inf)
        # many samplers compare probabilities, not logits: what differs by less than the rounding of exp may tie
        blur = 4 * self.arithmetic.unit * (1 + np.minimum(np.abs(z - np.where(np.isfinite(top), top, 0.0)), 1e3))
        error = np.where(np.isfinite(self.error), self.error + blur, _HUGE)
        return np.where(masked, -np.inf, z - error), np.where(masked, -np.inf, z + error)

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Return lowest and highest unnormalised probabilities [R, V], scaled by the highest row maximum."""
        low, high = self.bounds()
        nominal = np.where(self.possible, self.z, -np.inf)
        top = nominal.max(-1, keepdims=True, initial=-np.inf)
        top = np.where(np.isfinite(top), top, 0.0)
        with np.errstate(over="ignore", under="ignore"):
            return np.where(self.must, np.exp(np.minimum(low - top, 0)), 0.0), np.exp(np.minimum(high - top, 700))

    def probabilities(self) -> tuple[np.ndarray, np.ndarray]:
        """Return bounds [R, V] of the probability of each token given that it is kept."""
        low, high = self.weights()
        own_low = np.where(self.possible, self._own_low(), 0.0)
        others_high = high.sum(-1, keepdims=True) - high
        others_low = low.sum(-1, keepdims=True) - low
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            bottom = np.nan_to_num(own_low / (own_low + np.maximum(others_high, 0)))
            ceiling = np.nan_to_num(high / (high + np.maximum(others_low, 0)))
        return bottom, np.minimum(1.0, ceiling)

    def _own_low(self) -> np.ndarray:
        low, _ = self.bounds()
        top = np.where(self.possible, self.z, -np.inf).max(-1, keepdims=True, initial=-np.inf)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return np.exp(np.minimum(low - np.where(np.isfinite(top), top, 0.0), 0))

    def narrowed(self, *, kept: np.ndarray, removed: np.ndarray, least: np.ndarray | int) -> Belief:
        """Apply a filter: `kept` [R, V] surely pass, `removed` [R, V] surely fail; at least `least` [R] stay."""
        possible = self.possible & ~removed
        must = self.must & kept & ~removed
        least = np.maximum(1, np.minimum(least, possible.sum(-1)))
        return self.replaced(must=must, may=possible & ~must, least=np.minimum(least, self.least) if self.may.any() else least)

    def intersected(self, other: Belief) -> Belief:
        """Return what both beliefs keep; where they exclude each other, what `self` keeps."""
        possible = self.possible & other.possible
        possible = np.where(possible.any(-1, keepdims=True), possible, self.possible)
        must = self.must & other.must
        least = np.minimum(np.minimum(self.least, other.least), possible.sum(-1))
        return self.replaced(must=must, may=possible & ~must, least=least)

    def replaced(self, **changes: object) -> Belief:
        """Return a copy with some fields changed."""
        fields = {name: getattr(self, name) for name in ("z", "error", "must", "may", "least", "greedy", "arithmetic")}
        return Belief(**{**fields, **changes})

    def where(self, rows: np.ndarray, other: Belief) -> Belief:
        """Return `self` in the rows [R] where true and `other` elsewhere."""
        if rows.all():
            return self
        wide = rows[:, None]
        return Belief(
            z=np.where(wide, self.z, other.z),
            error=np.where(wide, self.error, other.error),
            must=np.where(wide, self.must, other.must),
            may=np.where(wide, self.may, other.may),
            least=np.where(rows, self.least, other.least),
            greedy=np.where(rows, self.greedy, other.greedy),
            arithmetic=self.arithmetic,
        )


def start(logits: np.ndarray, arithmetic: Precision) -> Belief:
    """Return the belief of untouched rows: every unmasked token must stay."""
    z = np.asarray(logits, np.float64)
    allowed = z > -np.inf
    rows = z.shape[0]
    size = np.abs(np.where(allowed, z, 0))
    # float32 logits are exact in float32; a denormal may be flushed to zero by the hardware
    error = np.where((size > 0) & (size < 1.2e-38), 1.2e-38, arithmetic.unit * size if arithmetic.unit > 1e-7 else 0.0)
    return Belief(
        z=z,
        error=error,
        must=allowed,
        may=np.zeros_like(allowed),
        least=allowed.sum(-1),
        greedy=np.zeros(rows, bool),
        arithmetic=arithmetic,
    )


def sums_above(keys: np.ndarray, weights: np.ndarray, thresholds: np.ndarray, *, inclusive: bool) -> np.ndarray:
    """Return [R, V]: for each threshold the sum of the weights whose key is > it (>= when inclusive); O(V log V)."""
    rows, size = keys.shape
    if size <= 64:
        above = keys[:, None, :] >= thresholds[:, :, None] if inclusive else keys[:, None, :] > thresholds[:, :, None]
        return np.einsum("rij,rj->ri", above, weights)
    order = np.argsort(keys, -1, kind="stable")
    ordered = np.take_along_axis(keys, order, -1)
    tail = np.cumsum(np.take_along_axis(weights, order, -1)[:, ::-1], -1)[:, ::-1]
    tail = np.concatenate([tail, np.zeros((rows, 1))], -1)
    side = "left" if inclusive else "right"
    cut = np.stack([np.searchsorted(ordered[r], thresholds[r], side=side) for r in range(rows)])  # type: ignore[call-overload]
    return np.take_along_axis(tail, cut, -1)


def prefix_mass(belief: Belief, low_key: np.ndarray, high_key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds [R, V] of the probability mass that precedes each token when keys are sorted descending.

    A token whose key surely exceeds ours precedes us; one that ties or overlaps may precede us or not.
    """
    low, high = belief.weights()
    own_low, own_high = np.where(belief.possible, belief._own_low(), 0.0), high
    sure = np.where(belief.must, low, 0.0)
    before_least = sums_above(np.where(belief.must, low_key, -np.inf), sure, high_key, inclusive=False)
    before_most = np.maximum(sums_above(np.where(belief.possible, high_key, -np.inf), high, low_key, inclusive=True) - own_high, 0.0)
    others_high = np.maximum(
        high.sum(-1, keepdims=True)
        - own_high
        - sums_above(np.where(belief.must, low_key, -np.inf), np.where(belief.must, high, 0), high_key, inclusive=False),
        0,
    )
    others_low = np.maximum(
        sure.sum(-1, keepdims=True)
        - sure
        - sums_above(np.where(belief.possible, high_key, -np.inf), sure, low_key, inclusive=True)
        + np.where(belief.must, sure, 0),
        0,
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        least = np.nan_to_num(before_least / (before_least + own_high + others_high))
        most = np.nan_to_num(before_most / (before_most + own_low + others_low), nan=1.0)
    return least, most
