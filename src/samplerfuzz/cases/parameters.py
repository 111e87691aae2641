"""Values of sampling parameters: ordinary ones, edges, and values placed beside a threshold of the row itself."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from samplerfuzz.cases.thresholds import ADDITIVE, PROPORTIONAL, RANK, probabilities
from samplerfuzz.core.registry import parameter


def ordinary(name: str, rng: np.random.Generator, rows: int, logits: np.ndarray) -> Any:
    """Return `rows` values of the common domain of `name`, some of them neutral."""
    size = logits.shape[1]
    item = parameter(name)
    if item.kind == "bias":
        return _biases(rng, rows, size)
    if item.kind == "ids":
        off, quiet = item.switched_off(size), rng.random(rows) < item.quiet
        return [off if idle else ids for idle, ids in zip(quiet.tolist(), _lists(rng, rows, size), strict=True)]
    low, high = item.common[0], min(item.common[1], size)
    if item.kind == "switch":
        values = np.ones(rows)
    elif item.kind == "integer":
        values = rng.integers(int(low), max(int(low) + 1, int(high) + 1), rows).astype(np.float64)
        small = rng.random(rows) < 0.5
        values[small] = np.minimum(rng.integers(max(1, int(low)), max(1, int(low)) + 5, rows)[small], max(high, low))
    else:
        positive = max(low, 1e-3)
        spread = np.exp(rng.uniform(np.log(positive), np.log(high), rows))
        values = np.where(rng.random(rows) < (0.3 if low >= 0 else 0.0), spread, rng.uniform(low, high, rows))
        values = np.where(rng.random(rows) < 0.05, rng.choice([low, high], rows), values)
        if name == "temperature":
            values = np.where(values < 0.05, np.where(rng.random(rows) < 0.8, values + 0.3, values), values)
    if item.neutral is not None and low <= item.neutral <= high:
        values = np.where(rng.random(rows) < item.quiet, item.neutral, values)
    return values


def _biases(rng: np.random.Generator, rows: int, size: int) -> list[dict[int, float]]:
    """Return biases: mostly of few tokens, now and then of more than a table of fixed size would hold."""
    counts = np.where(rng.random(rows) < 0.9, rng.integers(0, 4, rows), rng.integers(4, 65, rows)).tolist()
    ids = rng.integers(0, size, sum(counts)).tolist()
    addends = rng.choice([-100.0, -2.0, 0.5, 3.0, 100.0], sum(counts)).tolist()
    pairs = zip(ids, addends, strict=True)
    return [dict(itertools.islice(pairs, count)) for count in counts]


def _lists(rng: np.random.Generator, rows: int, size: int) -> list[list[int]]:
    """Return lists of ids, in any order, now and then with a repeated one; often few or nearly all."""
    few = np.minimum(size, rng.integers(1, 5, rows))
    counts = np.choose(rng.integers(0, 3, rows), [few, np.maximum(1, size - few), rng.integers(1, size + 1, rows)])
    ids = rng.permuted(np.broadcast_to(np.arange(size), (rows, size)), axis=-1)
    # histories that loop are made of the first few ids
    first = min(size, 5)
    looping = rng.random(rows) < 0.25
    ids[looping, :first] = rng.permuted(np.broadcast_to(np.arange(first), (int(looping.sum()), first)), axis=-1)
    counts[looping] = np.minimum(rng.integers(1, 3, int(looping.sum())), first)
    lists = [row[:count].tolist() for row, count in zip(ids, counts.tolist(), strict=True)]
    return [[*some, some[0]] if again else some for again, some in zip((rng.random(rows) < 0.2).tolist(), lists, strict=True)]


def edges(name: str, size: int) -> list[Any]:
    """Return every value worth throwing at the edges of the domain of `name`, for a vocabulary of `size`; NaN included."""
    item = parameter(name)
    if item.kind == "bias":
        return [{token: 1.0} for token in (0, size - 1, size, size + 7, -1)]
    if item.kind == "ids":
        return [[], [0], [size - 1], [size], [0, size + 7], [-1], [0, -1], list(range(size))]
    if item.kind == "switch":
        return [0, 1]
    values = [*item.edges, *(v for v in item.common if np.isfinite(v))]
    if item.neutral is not None:
        values.append(item.neutral)
    return [*values, size - 1, size, size + 1, size + 5] if item.kind == "integer" else [*values, float("nan")]


def edge(name: str, rng: np.random.Generator, rows: int, logits: np.ndarray) -> Any:
    """Return `rows` of the `edges` of `name`."""
    known = edges(name, logits.shape[1])
    picked = [known[i] for i in rng.integers(0, len(known), rows)]
    return np.array(picked, np.float64) if parameter(name).is_number else picked


def beside_threshold(name: str, rng: np.random.Generator, rows: int, logits: np.ndarray) -> Any:
    """Return values at or just off a threshold of each row."""
    item = parameter(name)
    at, size = np.arange(rows), logits.shape[1]
    pick = rng.integers(0, size, rows)
    nudge = rng.choice([-1e-2, -1e-3, -1e-4, 1e-4, 1e-3, 1e-2, 0.0], rows)
    if item.beside == RANK:
        return np.clip(pick + rng.integers(0, 2, rows), 1, size).astype(np.float64)
    with np.errstate(all="ignore"):
        if item.beside in ADDITIVE:
            return np.clip(ADDITIVE[item.beside](probabilities(logits))[at, pick] + nudge, *item.common)
        if item.beside in PROPORTIONAL:
            return np.clip(
                PROPORTIONAL[item.beside](probabilities(logits))[at, pick] * (1 + nudge), min(0.0, item.common[0]), item.common[1]
            )
    return ordinary(name, rng, rows, logits)
