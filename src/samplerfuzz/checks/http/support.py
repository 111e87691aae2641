"""Support and distribution behind llama.cpp's `/completion`, which tells the row before the chain and the survivors after it.

The row is what `n_probs` lists without `post_sampling_probs`: the log-softmax of the model's logits, which every rule that does not mind a
constant treats as the logits themselves. What they are is measured first (`Capabilities.meaning`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.checks.evidence import interval
from samplerfuzz.checks.http.settings import OFF, active, held, known_of, sent, some_settings
from samplerfuzz.checks.http.trial import Suspicion, Trial
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.checks.registry import load_all
from samplerfuzz.core.dialects import find_dialect
from samplerfuzz.targets.http.exchange import Reply, Request
from samplerfuzz.targets.http.probe import COMPLETION, Capabilities
from samplerfuzz.targets.http.returned import listed
from samplerfuzz.targets.target import Outcome, TargetSpec

_DIALECT = "llama.cpp"
_EVERYTHING = 2**20  # tokens: no vocabulary is larger
_CONFIGURATIONS = 24  # for each row: listing a whole vocabulary takes longer than listing survivors
_SHOWN = 16
_TEXTS = ("The sky is", "def main(", "1 2 3 4", "Paris is the capital of", "\n", "zzzz")
_ASKED: Mapping[str, Any] = {"post_sampling_probs": True, "seed": 1, "cache_prompt": False}


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A prompt, the row [V] that it ends in, and its tokens where they are known."""

    prompt: Any
    logits: np.ndarray
    tokens: np.ndarray | None


def chain_spec(url: str, known: Capabilities) -> TargetSpec:
    """Return what the chain of a llama.cpp server promises."""
    engine, names = find_dialect(_DIALECT), known_of(known.parameters[COMPLETION])
    return TargetSpec(
        name=url,
        locator=url,
        order=tuple(stage.name for stage in engine.stages(names)),
        parameters=names,
        inputs=frozenset({"history"}),
        returns="probs",
        dialect=_DIALECT,
        declared=engine.conventions,
        negative_temperature=engine.negative_temperature,
        zero_temperature=engine.zero_temperature,
    )


def tells_enough(known: Capabilities) -> bool:
    """Whether a server tells the row before its chain and what the chain leaves."""
    return known.survivors and known.meaning[COMPLETION] == "raw" and bool(known_of(known.parameters[COMPLETION]))


def support(known: Capabilities, spec: TargetSpec, send: Callable[[Request], Reply], rng: np.random.Generator) -> Iterator[Trial]:
    """Yield trials without end: one row after another, each under many settings."""
    for prompt in _prompts(rng):
        row, again = _row(known, send, prompt), _row(known, send, prompt)
        if row is None or again is None or not np.array_equal(row.logits, again.logits):
            continue  # a model that gives two rows for one prompt cannot be judged by either
        for _ in range(_CONFIGURATIONS):
            values = some_settings(rng, row.logits, spec.parameters, past=row.tokens is not None)
            yield _trial(known, spec, row, values, [name for name in known.switches if rng.random() < 0.4])


def _trial(known: Capabilities, spec: TargetSpec, row: _Row, values: dict[str, Any], switches: list[str]) -> Trial:
    fields = {**_ASKED, **sent(values), **dict.fromkeys(switches, True), "n_probs": len(row.logits)}
    case = Case(
        logits=row.logits[None],
        parameters=held(values),
        history=(np.zeros(0, np.int64) if row.tokens is None else row.tokens,),
        regime="of the server's model",
        strategy="server",
    )
    used = active(values)
    about = "+".join([*used, *switches]) or "nothing"

    def smaller() -> Iterator[Trial]:
        for switch in switches:
            yield _trial(known, spec, row, values, [other for other in switches if other != switch])
        for name in used:
            yield _trial(known, spec, row, {**values, name: OFF[name]}, switches)

    return Trial(
        requests=(Request.of(COMPLETION, known.body(COMPLETION, fields, prompt=row.prompt)),),
        judged=partial(judged, spec, case, about),
        what=", ".join([*(f"{name}={values[name]}" for name in used), *switches]) or "nothing",
        about=about,
        claims=tuple(_FOUND),
        smaller=smaller,
        alone=True,
    )


def _prompts(rng: np.random.Generator) -> Iterator[Any]:
    yield from _TEXTS
    while True:
        yield [int(i) for i in rng.integers(5, 1000, int(rng.integers(1, 12)))]


def _row(known: Capabilities, send: Callable[[Request], Reply], prompt: Any) -> _Row | None:
    """Return the row that a prompt ends in, None where not all of it is told."""
    data = send(
        Request.of(COMPLETION, known.body(COMPLETION, {**_ASKED, "post_sampling_probs": False, "n_probs": _EVERYTHING}, prompt=prompt))
    ).data
    answer = listed(data)
    if answer is None or not all(isinstance(name, int) for name in answer.names):
        return None
    row = np.full(len(answer.names), np.nan, np.float32)
    ids = np.array(answer.names, np.int64)
    if ids.min() < 0 or ids.max() >= len(ids):
        return None
    row[ids] = answer.logprobs
    if not np.isfinite(row).all() or abs(np.exp(row.astype(np.float64)).sum() - 1) > 1e-3:
        return None
    # a server that puts a token before the prompt has a history of its own
    is_known = isinstance(prompt, list) and data.get("tokens_evaluated") == len(prompt)
    return _Row(prompt=prompt, logits=row, tokens=np.array(prompt, np.int64) if is_known else None)


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
        case=_shown(judgement.case, shown),
    )


def _shown(case: Case, ids: np.ndarray) -> Case:
    """Return a case of some tokens, as far as it is for people to look at."""
    # the request holds the ids of a bias as they are
    numbers = {name: value for name, value in case.parameters.items() if isinstance(value, np.ndarray)}
    return replace(case, logits=case.logits[:, ids], parameters=numbers, history=None)


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
