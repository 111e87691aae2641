"""What is measured of one step of decoding: the names of the numbers, and the numbers in float64 from their definitions. NumPy only.

z are the logits that the temperature divides, A the tokens that can be drawn, β = 1/T, p = softmax(βz) over A, H its entropy and S = −ln p of the token emitted,
all in nats. The tilted laws p^(1−λ) / Σp^(1−λ) are those of the same sampler at another temperature, T/(1−λ); of each the vector holds

    ψ(λ) = ln E_p[exp(λ(S − H))]   and   ψ'(λ) = the mean of S − H under it,

which is what a monitor has to know of a step to bet against its law without seeing the row again (module monitors.tilts).

`samplerfuzz.safety.statistics` computes the same on the device in float32.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from samplerfuzz.core.errors import ParameterError

NUMBERS = (
    "entropy",  # H
    "relative_entropy",  # H / ln |A|; undefined for one token
    "varentropy",  # Σ p (−ln p − H)²
    "log_max_min_ratio",  # ln (p_max / p_min) = (z_max − z_min) / |T| over A
    "skewness",  # m₃ / m₂^{3/2} of z over A, population convention; undefined where all are equal
    "excess_kurtosis",  # m₄ / m₂² − 3 likewise
    "kept",  # |A|
    "mass_removed",  # probability, before the filters, of the tokens that they removed
    "rank",  # allowed tokens that are more probable than the one emitted
    "surprisal",  # S; infinite for a token outside A
    "excess",  # S − H
    "nan",  # NaN entries of the row
    "inf",  # +inf entries
    "all_masked",  # 1 where nothing can be drawn
)
FACTORS = (0.5, 0.8, 0.95, 0.99, 1.01, 1.05, 4 / 3, 2.0)
"""How many times the declared temperature the tilted laws have."""
TILTS = tuple(1 - 1 / factor for factor in FACTORS)
FIELDS = (*NUMBERS, *(f"psi[{factor:.3g}]" for factor in FACTORS), *(f"slope[{factor:.3g}]" for factor in FACTORS))
PSI, SLOPE = slice(len(NUMBERS), len(NUMBERS) + len(TILTS)), slice(len(NUMBERS) + len(TILTS), len(FIELDS))
COUNTS = ("kept", "rank", "nan", "inf", "all_masked")
FLOOR = -1e4  # ln of a relative probability below which it is nothing, at twice the temperature too
LEAST_NORMAL = 2.0**-126


def index(name: str) -> int:
    """Return where a number stands in the vector of a step."""
    return FIELDS.index(name)


def told(vector: np.ndarray) -> dict[str, float | int | None]:
    """Return the numbers of one step [F] by name; None for what is undefined.

    >>> told(statistics_of([[0.0, 0.0, -np.inf]], [[True, True, False]], [1], 1.0)[0])["relative_entropy"]
    1.0
    """
    values = {name: float(value) for name, value in zip(NUMBERS, vector, strict=False)}
    return {name: None if math.isnan(x) else int(x) if name in COUNTS else x for name, x in values.items()}


def statistics_of(logits: ArrayLike, kept: ArrayLike, token: ArrayLike, temperature: ArrayLike) -> np.ndarray:
    """Return the vectors of some steps, float64 [B, F] in the order of FIELDS.

    Args:
      logits: [B, V], what the temperature divides; −inf is masked. Subnormal ones count as 0.
      kept: bool [B, V], the tokens that can be drawn; what is masked cannot.
      token: [B], the tokens emitted; negative: none was.
      temperature: T, any real number and ±inf, scalar or [B]; 0 is greedy, ties to the lowest id.

    Returns:
      The numbers; NaN for what is undefined. A row that holds a NaN or +inf, or from which nothing can be drawn, has its counters and nothing else.

    Raises:
      ParameterError: shapes that do not fit, or a token that is no id.

    >>> vector = statistics_of(np.log([[0.5, 0.25, 0.25]]), [[True, True, True]], [0], 1.0)[0]
    >>> round(vector[index("surprisal")] - np.log(2), 6), vector[index("kept")]
    (np.float64(0.0), np.float64(3.0))
    """
    z, keep = np.asarray(logits, np.float64), np.asarray(kept, bool)
    if z.ndim != 2 or keep.shape != z.shape:
        raise ParameterError(f"logits have shape {z.shape} and kept {keep.shape}; expected [B, V] both")
    tokens, heat = np.asarray(token), np.broadcast_to(np.asarray(temperature, np.float64), z.shape[:1])
    if tokens.shape != z.shape[:1] or not np.issubdtype(tokens.dtype, np.integer) or (tokens >= z.shape[1]).any():
        raise ParameterError(f"token has shape {tokens.shape} and dtype {tokens.dtype}; expected one id below {z.shape[1]} a row")
    rows = zip(np.where(np.abs(z) < LEAST_NORMAL, 0.0, z), keep, tokens.tolist(), heat.tolist(), strict=True)
    return np.stack([_row(*row) for row in rows]) if len(z) else np.zeros((0, len(FIELDS)))


def _row(z: np.ndarray, keep: np.ndarray, token: int, t: float) -> np.ndarray:
    allowed = ~(z == -np.inf)
    inside = allowed & keep
    nan, infinite = int(np.isnan(z).sum()), int((z == np.inf).sum())
    found = dict.fromkeys(FIELDS, math.nan) | {"kept": int(inside.sum()), "nan": nan, "inf": infinite, "all_masked": int(not inside.any())}
    if not (nan or infinite or math.isnan(t) or not inside.any()):
        found |= _law(z, inside, token, t) | _shape(z[inside])
        everything = np.exp(_exponents(z[allowed], t))
        found["mass_removed"] = everything[~keep[allowed]].sum() / everything.sum()
        if token >= 0:
            better = (z < z[token]) if t < 0 else (z > z[token])
            found["rank"] = int((better & allowed).sum()) if allowed[token] else int(allowed.sum())
    return np.array([found[name] for name in FIELDS])


def _exponents(z: np.ndarray, t: float) -> np.ndarray:
    """Return z/T up to a constant: 0 for the most probable."""
    gap = z - (z.min() if t < 0 else z.max())
    if t == 0:
        return np.where(np.arange(len(z)) == z.argmax(), 0.0, -np.inf)
    with np.errstate(over="ignore"):
        return np.asarray(np.where(gap == 0, 0.0, gap / t))


def _law(z: np.ndarray, inside: np.ndarray, token: int, t: float) -> dict[str, float]:
    s = _exponents(z[inside], t)
    weight = np.exp(s)
    total = weight.sum()
    p, log_total = weight / total, math.log(total)
    clipped = np.maximum(s, FLOOR)
    mean = float((p * clipped).sum())
    away = mean - clipped
    found = {"entropy": log_total - mean, "varentropy": float((p * away**2).sum()), "log_max_min_ratio": float(0.0 - s.min())}
    if inside.sum() > 1:
        found["relative_entropy"] = found["entropy"] / math.log(inside.sum())
    if token >= 0:
        own = s[int(inside[:token].sum())] if inside[token] else -math.inf
        found |= {"surprisal": log_total - own, "excess": mean - own}
    for factor, tilt in zip(FACTORS, TILTS, strict=True):
        tilted = (1 - tilt) * clipped
        top = tilted.max()
        weight = np.exp(tilted - top)
        found[f"psi[{factor:.3g}]"] = top + math.log(weight.sum()) - log_total + tilt * mean
        found[f"slope[{factor:.3g}]"] = float((weight * away).sum() / weight.sum())
    return found


def _shape(z: np.ndarray) -> dict[str, float]:
    scale = np.abs(z).max() or 1.0
    d = z / scale - (z / scale).mean()
    widest = np.abs(d).max()
    if z.min() == z.max() or widest == 0:
        return {}
    d = d / widest
    square = d * d  # a power of a whole array is a hundred times slower
    second, third, fourth = square.mean(), (square * d).mean(), (square * square).mean()
    return {"skewness": third / second**1.5, "excess_kurtosis": fourth / second**2 - 3}
