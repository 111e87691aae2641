"""Values of sampling parameters: ordinary ones, edges, and values placed beside a threshold of the row itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from samplerfuzz.core.registry import parameter


def ordinary(name: str, rng: np.random.Generator, rows: int, logits: np.ndarray) -> Any:
    """Return `rows` values of the common domain of `name`, some of them neutral."""
    size = logits.shape[1]
    item = parameter(name)
    if item.kind == "bias":
        return [
            {int(i): float(rng.choice([-100.0, -2.0, 0.5, 3.0, 100.0])) for i in rng.integers(0, size, rng.integers(0, 4))}
            for _ in range(rows)
        ]
    if item.kind == "ids":
        # histories that loop are made of the first few ids
        few = min(size, 5)
        return [sorted({int(i) for i in rng.integers(0, few, rng.integers(0, 3))}) for _ in range(rows)]
    low, high = item.common[0], min(item.common[1], size)
    if item.kind == "integer":
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
        values = np.where(rng.random(rows) < 0.15, item.neutral, values)
    return values


def edges(name: str, size: int) -> list[Any]:
    """Return every value worth throwing at the edges of the domain of `name`, for a vocabulary of `size`; NaN included."""
    item = parameter(name)
    if item.kind == "bias":
        return [{token: 1.0} for token in (0, size - 1, size, size + 7, -1)]
    if item.kind == "ids":
        return [[], [0], [size - 1], [size], [-1], list(range(size))]
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
    """Return values just off a threshold of each row: the prefix masses of top-p, the ratios of min-p, the ranks of top-k."""
    size = logits.shape[1]
    with np.errstate(all="ignore"):
        z = logits.astype(np.float64)
        top = np.where(np.isfinite(z), z, -np.inf).max(-1, keepdims=True)
        p = np.nan_to_num(np.exp(np.where(np.isfinite(z), z - top, -np.inf)))
        p = -np.sort(-p / np.maximum(p.sum(-1, keepdims=True), 1e-300), -1)
    pick = rng.integers(0, size, rows)
    nudge = rng.choice([-1e-2, -1e-3, -1e-4, 1e-4, 1e-3, 1e-2, 0.0], rows)
    at, item = np.arange(rows), parameter(name)
    if item.beside == "rank":
        return np.clip(pick + rng.integers(0, 2, rows), 1, size).astype(np.float64)
    if item.beside == "mass":
        return np.clip(np.cumsum(p, -1)[at, pick] + nudge, *item.common)
    if item.beside == "ratio":
        return np.clip(p[at, pick] / np.maximum(p[:, 0], 1e-300) * (1 + nudge), *item.common)
    if item.beside == "half surprise":
        return np.clip(-np.log2(np.maximum(p[at, pick], 1e-30)) / 2 * (1 + nudge), *item.common)
    if item.beside == "probability":
        return np.clip(p[at, pick] * (1 + nudge), 0.0, item.common[1])
    return ordinary(name, rng, rows, logits)
