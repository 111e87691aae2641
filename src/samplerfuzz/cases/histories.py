"""Tokens before a row: mostly few, now and then longer than any window or table one would think of, often repeating themselves."""

from __future__ import annotations

import numpy as np

_LONG, _LOOPED, _PERIOD = 150, 24, 4


def histories(rng: np.random.Generator, rows: int, size: int) -> list[np.ndarray]:
    """Return a history for each of `rows` rows over a vocabulary of `size`."""
    lengths = np.where(rng.random(rows) < 0.9, rng.integers(0, 9, rows), rng.integers(0, _LONG, rows))
    ends = np.cumsum(lengths)
    drawn = rng.integers(0, size, int(ends[-1]))
    made = [drawn[begin:end] for begin, end in zip((ends - lengths).tolist(), ends.tolist(), strict=True)]
    loops = np.flatnonzero(rng.random(rows) < 0.3)
    for row, ids in zip(loops.tolist(), _looping(rng, len(loops), size), strict=True):
        made[row] = ids
    return made


def _looping(rng: np.random.Generator, rows: int, size: int) -> list[np.ndarray]:
    """Return histories of a few tokens that repeat themselves, with a slip here and there."""
    few = min(size, 5)
    loop, period = rng.integers(0, few, (rows, _PERIOD)), rng.integers(1, _PERIOD + 1, (rows, 1))
    ids = np.take_along_axis(loop, np.arange(_LOOPED) % period, -1)
    slips = rng.random(ids.shape) < rng.choice([0.0, 0.15], (rows, 1))
    ids = np.where(slips, rng.integers(0, few, ids.shape), ids)
    return [row[:length] for row, length in zip(ids, rng.integers(1, _LOOPED + 1, rows).tolist(), strict=True)]
