"""Settings of a llama.cpp server's chain: what the oracle knows of it, values for it, and how they are sent."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from samplerfuzz.cases.parameters import edges, ordinary
from samplerfuzz.cases.thresholds import ADDITIVE, PROPORTIONAL, RANK, probabilities
from samplerfuzz.core.registry import parameter

# A row is known but for a constant: what minds one (the repetition penalty) cannot be judged. A window of 64 holds every prompt sent.
OFF: Mapping[str, Any] = {
    "logit_bias": {},
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "penalty_last_n": 64.0,
    "top_n_sigma": 0.0,
    "top_k": 0.0,
    "typical_p": 1.0,
    "top_p": 1.0,
    "min_p": 0.0,
    "xtc_threshold": 1.0,
    "xtc_probability": 0.0,
    "dynatemp_range": 0.0,
    "dynatemp_exponent": 1.0,
    "temperature": 1.0,
}
OF_THE_PAST = ("presence_penalty", "frequency_penalty", "penalty_last_n")
_CALLED = {"penalty_last_n": "repeat_last_n"}
_RANKS = 64  # thresholds are placed among so many of the best
_ORDINARY = {"presence_penalty": (-2.0, 2.0), "frequency_penalty": (-2.0, 2.0)}


def sent(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request that say `values`."""
    fields: dict[str, Any] = {}
    for name, value in values.items():
        kind = parameter(name).kind
        called = _CALLED.get(name, name)
        fields[called] = [[i, b] for i, b in value.items()] if kind == "bias" else int(value) if kind == "integer" else value
    return fields


def held(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a case of one row."""
    return {name: np.array([x], np.float64) if parameter(name).is_number else [x] for name, x in values.items()}


def active(values: Mapping[str, Any]) -> list[str]:
    """Return the names of what is not switched off."""
    return [name for name, value in values.items() if value != OFF[name]]


def known_of(taken: Collection[str]) -> tuple[str, ...]:
    """Return those of OFF that a server takes, which `taken` calls by its names for them."""
    return tuple(name for name in OFF if _CALLED.get(name, name) in taken)


def some_settings(rng: np.random.Generator, row: np.ndarray, names: Sequence[str], *, past: bool) -> dict[str, Any]:
    """Return a value for each of `names`, most of them off; with `past`, also for those that look at the tokens so far."""
    usable = [name for name in names if past or name not in OF_THE_PAST]
    chosen = {str(rng.choice(usable))} | {name for name in usable if rng.random() < 0.2}
    return {name: _value(name, rng, row) if name in chosen else OFF[name] for name in names}


def _value(name: str, rng: np.random.Generator, row: np.ndarray) -> Any:
    item, kind = parameter(name), rng.random()
    if not item.is_number:
        best = np.argsort(-row)[:_RANKS]
        return {int(i): float(rng.choice([-100.0, -2.0, 0.5, 3.0, 100.0])) for i in rng.choice(best, int(rng.integers(1, 6)))}
    if name in _ORDINARY:
        value = rng.uniform(*_ORDINARY[name])
    elif name in OF_THE_PAST:
        value = float(rng.integers(0, 12))
    elif item.beside and kind < 0.6:
        value = _beside(name, rng, row)
    elif kind < 0.8:
        value = ordinary(name, rng, 1, row[None])[0]
    else:
        low, high = item.meaning
        value = rng.choice([x for x in edges(name, len(row)) if math.isfinite(x) and abs(x) < 2**31 and low <= x <= high])
    return float(np.float32(value))  # as the server keeps it


def _beside(name: str, rng: np.random.Generator, row: np.ndarray) -> float:
    item = parameter(name)
    rank = int(min(rng.geometric(0.15) - 1, _RANKS, len(row) - 1))
    nudge = float(rng.choice([-1e-2, -1e-3, 1e-3, 1e-2]))
    if item.beside == RANK:
        return float(rank + 1)
    ranked = probabilities(row[None])
    if item.beside in ADDITIVE:
        return float(np.clip(ADDITIVE[item.beside](ranked)[0, rank] + nudge, *item.common))
    return float(np.clip(PROPORTIONAL[item.beside](ranked)[0, rank] * (1 + nudge), *item.common))
