"""Shrinking on meaning: fewest rows, smallest vocabulary, neutral parameters, roundest numbers, shortest history."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.core.registry import parameter

_RESEEDED = 8
Predicate = Callable[[Case], bool]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much shrinking may cost: seconds, and calls of the predicate."""

    seconds: float = 6.0
    calls: int = 600


EFFORT: dict[str, Effort] = {
    # a hang costs its whole time limit every time it is seen again
    "call_returns": Effort(seconds=30.0, calls=24),
    # a crash costs the start of a process
    "process_survives": Effort(seconds=15.0, calls=60),
}


def shrink(case: Case, fails: Predicate, *, seconds: float = 5.0, calls: int = 600) -> Case:
    """Return the smallest case found on which `fails` still holds; every candidate is really run."""
    deadline = time.monotonic() + seconds
    spent = 0
    tried: set[str] = set()
    improved = True
    while improved:
        improved = False
        for candidates in _ROUNDS:
            restart = True
            while restart:
                restart = False
                for candidate in candidates(case):
                    if time.monotonic() > deadline or spent >= calls:
                        return case
                    key = candidate.digest()
                    if key in tried:
                        continue
                    tried.add(key)
                    spent += 1
                    if fails(candidate):
                        case, improved, restart = candidate, True, True
                        break
    return case


def _fewer_rows(case: Case) -> Iterator[Case]:
    rows = case.rows
    if rows == 1:
        return
    if rows > 4:
        # halves first: a call that hangs can be tried only a few times
        yield case.take(list(range(rows // 2)))
        yield case.take(list(range(rows // 2, rows)))
    for row in range(min(rows, 64)):
        yield case.take([row])
    if rows > 2:
        step = rows // 2
        while step:
            for begin in range(0, rows, step):
                keep = [r for r in range(rows) if not begin <= r < begin + step]
                if keep:
                    yield case.take(keep)
            step //= 2
    if case.seeds is not None and rows <= _RESEEDED:
        # what a row draws may depend on how many rows there are: alone it shows with another seed
        for row in range(rows):
            yield from (case.take([row]).with_(seeds=np.array([seed])) for seed in range(_RESEEDED))
        for row in range(rows) if rows > 2 else ():
            fewer = case.take([r for r in range(rows) if r != row])
            yield from (fewer.with_(seeds=(np.asarray(fewer.seeds) + seed) % 2**31) for seed in range(1, 4))


def _fewer_tokens(case: Case) -> Iterator[Case]:
    size = case.vocabulary
    step = size // 2
    while step:
        for begin in range(0, size, step):
            keep = np.delete(np.arange(size), slice(begin, begin + step))
            if len(keep):
                fewer = _columns(case, keep)
                yield fewer
                yield from _lower_ranks(fewer, size - len(keep))
        step //= 2


def _lower_ranks(case: Case, by: int) -> Iterator[Case]:
    """Yield the case with ranks counted from the end: what shows at k = V − 1 shows there in a smaller vocabulary too."""
    ranks = {name: np.asarray(value) for name, value in case.parameters.items() if parameter(name).beside == "rank"}
    lower = {name: np.where(value > by, value - by, value) for name, value in ranks.items()}
    if any((lower[name] != value).any() for name, value in ranks.items()):
        yield case.with_(parameters={**case.parameters, **lower})


def _columns(case: Case, keep: np.ndarray) -> Case:
    named = case.history is not None or not all(parameter(name).is_number for name in case.parameters)
    place = {int(old): new for new, old in enumerate(keep)} if named else {}
    offset = len(keep) - case.vocabulary

    def moved(ids: Iterable[int]) -> dict[int, int]:
        """Return the new id of each that stays; what lies outside the vocabulary stays outside."""
        return {int(i): place.get(int(i), int(i) + offset) for i in ids if int(i) in place or not 0 <= i < case.vocabulary}

    def renamed(kind: str, value: Any) -> Any:
        if kind == "bias":
            return [{new: row[old] for old, new in moved(row).items()} for row in value]
        return [[new[i] for i in row if i in new] for row in value for new in [moved(row)]] if kind == "ids" else value

    changed: dict[str, Any] = {
        "logits": case.logits[:, keep],
        "parameters": {name: renamed(parameter(name).kind, value) for name, value in case.parameters.items()},
    }
    if case.steps is not None:
        changed["steps"] = replace(case.steps, logits=case.steps.logits[:, :, keep])
    if case.history is not None:
        changed["history"] = tuple(
            np.array([new[int(i)] for i in ids if int(i) in new], np.int64) for ids in case.history for new in [moved(ids)]
        )
        if case.prompt_length is not None:
            changed["prompt_length"] = np.minimum(case.prompt_length, [len(ids) for ids in changed["history"]])
    return case.with_(**changed)


def _plainer_parameters(case: Case) -> Iterator[Case]:
    for name, value in case.parameters.items():
        item = parameter(name)
        if item.kind == "bias":
            if any(value):
                yield case.with_(parameters={**case.parameters, name: [{} for _ in value]})
                yield case.with_(parameters={**case.parameters, name: [{i: float(round(b)) for i, b in row.items()} for row in value]})
            continue
        if item.kind == "ids":
            yield from (case.with_(parameters={**case.parameters, name: ids}) for ids in _fewer_ids(value))
            continue
        array = np.asarray(value, np.float64)
        # a candidate must be plainer than what it replaces, or shrinking would go round in circles
        current = _roughness(array)
        options = [np.full_like(array, item.neutral)] if item.neutral is not None else []
        options += [np.full_like(array, x) for x in (1.0, 2.0, 0.5)]
        with np.errstate(invalid="ignore"):
            options += [np.round(array, digits) for digits in (0, 1, 2, 3, 4)]
        whole = item.kind in ("integer", "switch")
        for option in options:
            # a target is given whole numbers: half a token is none that it saw
            if _roughness(option) < current and not (whole and (option % 1 != 0).any()):
                yield case.with_(parameters={**case.parameters, name: option})


def _fewer_ids(rows: list[list[int]]) -> Iterator[list[list[int]]]:
    if any(rows):
        yield [[] for _ in rows]
    for row, ids in enumerate(rows[:8]):
        for drop in range(min(len(ids), 16)):
            yield [*rows[:row], ids[:drop] + ids[drop + 1 :], *rows[row + 1 :]]


def _fewer_steps(case: Case) -> Iterator[Case]:
    if case.steps is None or case.steps.count <= 2:
        return
    for count in range(2, case.steps.count):
        yield case.with_(steps=case.steps.cut(count))
    for index in range(case.steps.count - 2, -1, -1):
        yield case.with_(steps=case.steps.without(index))


def _rounder_logits(case: Case) -> Iterator[Case]:
    for z in _rounder(case.logits):
        yield case.with_(logits=z)
    if case.steps is not None:
        same = np.broadcast_to(case.logits, case.steps.logits.shape)
        if not np.array_equal(same, case.steps.logits, equal_nan=True):
            yield case.with_(steps=replace(case.steps, logits=same.copy()))
        for z in _rounder(case.steps.logits):
            yield case.with_(steps=replace(case.steps, logits=z))


def _flatter(z: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the array with all rows flat, or one: what shows in few draws of a peaked row shows in nearly every draw of a flat one."""
    flat = np.where(np.isfinite(z), np.float32(0), z)
    yield flat
    for row in range(z.shape[-2]) if z.shape[-2] <= 8 else ():
        yield np.where(np.arange(z.shape[-2])[:, None] == row, flat, z)


def _rounder(z: np.ndarray) -> Iterator[np.ndarray]:
    current = _roughness(z)
    yield from (flat for flat in _flatter(z) if _roughness(flat) < current)
    with np.errstate(invalid="ignore", over="ignore"):
        finite = np.isfinite(z)
        for digits in (0, 1, 2, 3):
            rounded = np.where(finite, np.round(z, digits) + np.float32(0), z).astype(np.float32)
            if _roughness(rounded) < current:
                yield rounded
        if z.size <= 64:
            for index in np.ndindex(z.shape):
                for value in (np.float32(0), np.float32(1), np.round(z[index]), np.round(z[index], 1)):
                    changed = z.copy()
                    changed[index] = value
                    if _roughness(changed) < current:
                        yield changed


def _shorter_history(case: Case) -> Iterator[Case]:
    for row, ids in enumerate(case.history or ()):
        for drop in range(len(ids)):
            history = list(case.history or ())
            history[row] = np.delete(ids, drop)
            lengths = None if case.prompt_length is None else np.minimum(case.prompt_length, [len(h) for h in history])
            yield case.with_(history=tuple(history), prompt_length=lengths)


def _plainer_draws(case: Case) -> Iterator[Case]:
    if case.seeds is not None and (case.seeds > case.rows).any():
        spread = len(np.unique(case.seeds)) > 1
        yield case.with_(seeds=np.arange(case.rows) * int(spread))
    if case.u is not None:
        yield from (case.with_(u=u) for u in _rounder_uniforms(case.u))
    if case.steps is not None:
        yield from (case.with_(steps=replace(case.steps, choices=u)) for u in _rounder_uniforms(case.steps.choices))
    if case.steps is not None and case.steps.u is not None:
        yield from (case.with_(steps=replace(case.steps, u=u)) for u in _rounder_uniforms(case.steps.u))


def _rounder_uniforms(u: np.ndarray) -> Iterator[np.ndarray]:
    for digits in (1, 2, 3):
        rounded = np.clip(np.round(u, digits), 0, 1 - 2.0**-53)
        if _roughness(rounded) < _roughness(u):
            yield rounded


_ROUNDS = (_fewer_steps, _fewer_rows, _fewer_tokens, _plainer_parameters, _rounder_logits, _shorter_history, _plainer_draws)


def _roughness(array: np.ndarray) -> int:
    """Return how many characters the finite numbers take: the measure that shrinking lowers."""
    return sum(len(f"{abs(float(x)):.9g}") + (float(x) < 0) + (float(x) not in (0.0, 1.0)) for x in np.ravel(array)[:4096])
