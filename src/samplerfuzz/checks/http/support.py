"""Support and distribution behind llama.cpp's `/completion`, which tells the row before the chain and the survivors after it.

The row is what `n_probs` lists without `post_sampling_probs`: the log-softmax of the model's logits, which every rule that does not mind a
constant treats as the logits themselves. What they are is measured first (`Capabilities.meaning`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.cases.parameters import edges, ordinary
from samplerfuzz.cases.thresholds import ADDITIVE, PROPORTIONAL, RANK, probabilities
from samplerfuzz.checks.evidence import interval
from samplerfuzz.checks.http.trial import Suspicion, Trial
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.checks.registry import load_all
from samplerfuzz.core.dialects import find_dialect
from samplerfuzz.core.registry import parameter
from samplerfuzz.targets.http.exchange import Reply, Request
from samplerfuzz.targets.http.probe import COMPLETION, Capabilities
from samplerfuzz.targets.http.returned import listed
from samplerfuzz.targets.target import Outcome, TargetSpec

PARAMETERS = ("top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "temperature")
_DIALECT = "llama.cpp"
_EVERYTHING = 2**20  # tokens: no vocabulary is larger
_CONFIGURATIONS = 24  # for each row: listing a whole vocabulary takes longer than listing survivors
_SHOWN = 16
_RANKS = 64  # thresholds are placed among so many of the best
_TEXTS = ("The sky is", "def main(", "1 2 3 4", "Paris is the capital of", "\n", "zzzz")


def chain_spec(url: str) -> TargetSpec:
    """Return what the chain of a llama.cpp server promises."""
    engine = find_dialect(_DIALECT)
    return TargetSpec(
        name=url,
        locator=url,
        order=tuple(stage.name for stage in engine.stages(PARAMETERS)),
        parameters=PARAMETERS,
        returns="probs",
        dialect=_DIALECT,
        declared=engine.conventions,
        negative_temperature=engine.negative_temperature,
        zero_temperature=engine.zero_temperature,
    )


def support(known: Capabilities, spec: TargetSpec, send: Callable[[Request], Reply], rng: np.random.Generator) -> Iterator[Trial]:
    """Yield trials without end: one row after another, each under many settings."""
    for prompt in _prompts(rng):
        row = _row(known, send, prompt)
        again = _row(known, send, prompt)
        if row is None or again is None or not np.array_equal(row, again):
            continue  # a model that gives two rows for one prompt cannot be judged by either
        for _ in range(_CONFIGURATIONS):
            yield _trial(known, spec, prompt, row, _values(rng, row))


def _trial(known: Capabilities, spec: TargetSpec, prompt: Any, row: np.ndarray, values: dict[str, float]) -> Trial:
    fields = {"n_probs": len(row), "post_sampling_probs": True, "seed": 1, "cache_prompt": False}
    sent = {name: int(x) if parameter(name).kind == "integer" else x for name, x in values.items()}
    case = Case(
        logits=row[None],
        parameters={name: np.array([x], np.float64) for name, x in values.items()},
        regime="of the server's model",
        strategy="server",
    )
    active = [name for name, x in values.items() if x != parameter(name).neutral]
    about = "+".join(active) or "nothing"

    def smaller() -> Iterator[Trial]:
        for name in active:
            yield _trial(known, spec, prompt, row, {**values, name: float(parameter(name).neutral or 0.0)})

    return Trial(
        requests=(Request.of(COMPLETION, known.body(COMPLETION, {**fields, **sent}, prompt=prompt)),),
        judged=partial(judged, spec, case, about),
        what=", ".join(f"{name}={values[name]:g}" for name in active) or "nothing",
        about=about,
        claims=tuple(_FOUND),
        smaller=smaller,
        alone=True,
    )


def _prompts(rng: np.random.Generator) -> Iterator[Any]:
    yield from _TEXTS
    while True:
        yield [int(i) for i in rng.integers(5, 1000, int(rng.integers(1, 12)))]


def _row(known: Capabilities, send: Callable[[Request], Reply], prompt: Any) -> np.ndarray | None:
    """Return the row [V] that a prompt ends in, None where not all of it is told."""
    body = known.body(COMPLETION, {"n_probs": _EVERYTHING, "seed": 1, "cache_prompt": False}, prompt=prompt)
    answer = listed(send(Request.of(COMPLETION, body)).data)
    if answer is None or not all(isinstance(name, int) for name in answer.names):
        return None
    row = np.full(len(answer.names), np.nan, np.float32)
    ids = np.array(answer.names, np.int64)
    if ids.min() < 0 or ids.max() >= len(ids):
        return None
    row[ids] = answer.logprobs
    whole = bool(np.isfinite(row).all()) and abs(np.exp(row.astype(np.float64)).sum() - 1) < 1e-3
    return row if whole else None


def _values(rng: np.random.Generator, row: np.ndarray) -> dict[str, float]:
    """Return a value for every parameter, most of them neutral."""
    chosen = {str(rng.choice(PARAMETERS))} | {name for name in PARAMETERS if rng.random() < 0.25}
    values = {}
    for name in PARAMETERS:
        neutral = parameter(name).neutral
        assert neutral is not None
        values[name] = float(np.float32(_value(name, rng, row) if name in chosen else neutral))
    return values


def _value(name: str, rng: np.random.Generator, row: np.ndarray) -> float:
    item, kind = parameter(name), rng.random()
    rank = int(min(rng.geometric(0.15) - 1, _RANKS, len(row) - 1))
    nudge = float(rng.choice([-1e-2, -1e-3, 1e-3, 1e-2]))
    if item.beside and kind < 0.6:
        if item.beside == RANK:
            return float(rank + 1)
        ranked = probabilities(row[None])
        if item.beside in ADDITIVE:
            return float(np.clip(ADDITIVE[item.beside](ranked)[0, rank] + nudge, *item.common))
        return float(np.clip(PROPORTIONAL[item.beside](ranked)[0, rank] * (1 + nudge), *item.common))
    if kind < 0.8:
        return float(ordinary(name, rng, 1, row[None])[0])
    return float(rng.choice([x for x in edges(name, len(row)) if math.isfinite(x) and abs(x) < 2**31]))


def judged(spec: TargetSpec, case: Case, about: str, replies: Sequence[Reply]) -> Iterator[Suspicion]:
    """Yield what the oracle says of the survivors that a reply lists."""
    answer = listed(replies[0].data)
    if answer is None or not all(isinstance(name, int) and 0 <= name < case.vocabulary for name in answer.names):
        return
    p = np.zeros((1, case.vocabulary))
    p[0, np.array(answer.names, np.int64)] = np.exp(answer.logprobs)
    judgement = Judgement(spec, case, Outcome(kind="value", form="probs", value=p))
    table = load_all()
    for claim, find in _FOUND.items():
        check = table[claim]
        assert check.judge is not None
        for violation in check.judge(check, judgement):
            yield _suspicion(violation.check, violation.title, about, judgement, find)


def _suspicion(check: str, title: str, about: str, judgement: Judgement, find: Callable[..., tuple[str, dict[str, Any], int]]) -> Suspicion:
    assert judgement.verdicts is not None
    _, belief, verdict = judgement.verdicts
    kind, constants, token = find(belief, verdict, judgement.distributions[0])
    row = judgement.case.logits[0]
    order = np.argsort(-row, kind="stable")
    at = int(np.flatnonzero(order == token)[0])
    shown = np.unique([*order[: _SHOWN - 6], *order[max(0, at - 3) : at + 3]])
    low, high = interval(belief)
    return Suspicion(
        check=check,
        kind=kind,
        constants=constants,
        title=f"{title}, with {about}",
        about=about,
        expected={"low": low[0, shown].tolist(), "high": high[0, shown].tolist()},
        observed={"probabilities": judgement.distributions[0, shown].tolist(), "ids": shown.tolist()},
        case=replace(judgement.case, logits=row[None, shown]),
    )


def _removed(belief: Any, verdict: Any, p: np.ndarray) -> tuple[str, dict[str, Any], int]:
    token = int(np.flatnonzero(verdict.never_kept[0])[0])
    return "probability", {"token": token, "low": 0.0, "high": 0.0}, token


def _kept(belief: Any, verdict: Any, p: np.ndarray) -> tuple[str, dict[str, Any], int]:
    missing = np.flatnonzero(verdict.must_missing[0])
    if len(missing):
        return "probability", {"token": int(missing[0]), "low": 1e-37, "high": 1.0}, int(missing[0])
    return "count", {"least": int(belief.least[0]), "most": len(p)}, int(np.argmax(p))


def _too_many(belief: Any, verdict: Any, p: np.ndarray) -> tuple[str, dict[str, Any], int]:
    return "count", {"least": 0, "most": int(belief.most[0])}, int(np.argmax(p))


def _share(belief: Any, verdict: Any, p: np.ndarray) -> tuple[str, dict[str, Any], int]:
    right = verdict.expected[0]
    token = int(np.argmax(np.abs(p - right) * verdict.out_of_band[0]))
    half = abs(float(p[token] - right[token])) / 2
    return "probability", {"token": token, "low": float(right[token]) - half, "high": float(right[token]) + half}, token


_FOUND: dict[str, Callable[..., tuple[str, dict[str, Any], int]]] = {
    "kept_token_has_probability": _kept,
    "removed_token_has_no_probability": _removed,
    "no_more_tokens_stay_than_a_rule_keeps": _too_many,
    "probability_matches_the_definition": _share,
}
