"""Regimes of logits: each makes rows [B, V] float32 that have broken a real sampler before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Regime = Callable[[np.random.Generator, int, int], np.ndarray]


def _normal(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    return rng.normal(size=(rows, size)) * rng.choice([0.3, 1.0, 3.0, 8.0], size=(rows, 1)) + rng.choice(
        [0.0, 0.0, 5.0, -20.0], size=(rows, 1)
    )


def _flat(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    return np.repeat(rng.choice([0.0, 1.0, -3.5, 20.0], size=(rows, 1)), size, 1)


def _peaked(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    z = rng.normal(size=(rows, size))
    z[np.arange(rows), rng.integers(0, size, rows)] += rng.choice([5.0, 12.0, 30.0], size=rows)
    return z


def _two_humped(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    return rng.normal(size=(rows, size)) * 0.3 + np.where(rng.random((rows, size)) < 0.3, 4.0, -4.0)


def _tied(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    return rng.integers(-2, 3, size=(rows, size)).astype(np.float64)


def _dyadic(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    return np.log(2.0) * -rng.integers(0, 8, size=(rows, size)).astype(np.float64)


def _one_ulp(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    base = np.float32(rng.choice([1.0, -2.0, 7.25]))
    return (base + np.spacing(base) * rng.integers(-1, 2, size=(rows, size))).astype(np.float32)


def _negative(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    return -np.abs(rng.normal(size=(rows, size))) * 4 - 0.1


def _overflowing(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    return rng.normal(size=(rows, size)) * 2 + rng.choice([100.0, 1000.0, -1000.0], size=(rows, 1))


def _huge(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    z = rng.normal(size=(rows, size)) * 3
    z[rng.random((rows, size)) < 0.2] = 1e30
    z[rng.random((rows, size)) < 0.2] = -1e30
    return z


def _denormal(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    return rng.choice([0.0, -0.0, 1e-40, -1e-40, 1e-38, 1.0, -1.0], size=(rows, size))


def _masked(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    z = rng.normal(size=(rows, size)) * 3
    masked = rng.random((rows, size)) < rng.choice([0.1, 0.5, 0.9], size=(rows, 1))
    # the ends of a row are where stale indices and fallbacks show
    masked[:, -1] |= rng.random(rows) < 0.5
    masked[:, 0] |= rng.random(rows) < 0.5
    # a whole range: padding behind the vocabulary, blocks of which a kernel sees nothing else
    ends = np.sort(rng.integers(0, size + 1, (2, rows, 1)), 0)
    inside = (np.arange(size) >= ends[0]) & (np.arange(size) < ends[1])
    masked = np.where(rng.random((rows, 1)) < 0.2, inside, masked)
    masked[np.arange(rows), rng.integers(min(1, size - 1), size, rows)] = False
    masked[np.arange(rows), rng.integers(0, size, rows)] = False
    # a grammar that allows one token: the first one has no loop that starts at 1
    only = np.where(rng.random(rows) < 0.3, 0, rng.integers(0, size, rows))[:, None]
    masked = np.where(rng.random((rows, 1)) < 0.05, np.arange(size) != only, masked)
    return np.where(masked, -np.inf, z)


def _long_tail(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    """Return rows in which many tokens weigh together as much as the few best: what an approximation loses, it loses there."""
    z = rng.normal(size=(rows, size)) * rng.choice([0.0, 0.1], size=(rows, 1))
    for _ in range(2):
        z[np.arange(rows), rng.integers(0, size, rows)] = np.log(size) + rng.normal(size=rows)
    return z


REGIMES: dict[str, Regime] = {
    "normal": _normal,
    "flat": _flat,
    "peaked": _peaked,
    "two-humped": _two_humped,
    "tied": _tied,
    "dyadic": _dyadic,
    "one-ulp": _one_ulp,
    "negative": _negative,
    "overflowing": _overflowing,
    "huge": _huge,
    "denormal": _denormal,
    "masked": _masked,
    "long tail": _long_tail,
}
WEIGHTS = {"normal": 5, "masked": 3, "overflowing": 2, "huge": 0.5, "denormal": 0.5, "one-ulp": 0.5}


def rows_of(regime: str, rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    """Return [rows, size] float32 of a regime, with the arg-max seldom at index 0 where it is free to move.

    A sampler that is broken in any way tends to answer 0, and rows whose arg-max is 0 would hide it; one that never answers 0 shows there.
    """
    z = np.asarray(REGIMES[regime](rng, rows, size), np.float32)
    if size > 1 and regime not in ("flat", "tied"):
        first = (z.argmax(-1) == 0) & (rng.random(rows) < 0.8)
        other = rng.integers(1, size, rows)
        index = np.flatnonzero(first)
        z[index, 0], z[index, other[index]] = z[index, other[index]].copy(), z[index, 0].copy()
    return z
