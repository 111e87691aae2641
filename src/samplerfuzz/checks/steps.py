"""A stream of steps: each step follows from those before it, and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.cases.steps import step_of
from samplerfuzz.checks.evidence import observed_row
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.checks.registry import CHECKS, Check, probe
from samplerfuzz.checks.rows import distribution_differs, draws_are_pinned
from samplerfuzz.checks.seeds import is_pinned
from samplerfuzz.oracle import Memories
from samplerfuzz.targets.target import Outcome, Target, TargetSpec


def judgements(spec: TargetSpec, case: Case, outcomes: Sequence[Outcome], tokens: Sequence[np.ndarray]) -> list[Judgement]:
    """Return what the oracle makes of each step, given the tokens that were taken before it."""
    past: list[tuple[Case, np.ndarray]] = []
    memories: dict[Any, Memories] = {}
    judged = []
    for index, outcome in enumerate(outcomes):
        at = step_of(case, index, tokens)
        judged.append(Judgement(spec, at, outcome, past=tuple(past), memories=memories))
        past.append((at, tokens[index]))
    return judged


def _is_followed(spec: TargetSpec) -> bool:
    """Whether the oracle can follow: a coin tossed at an earlier step is not seen, and a state may depend on it."""
    return spec.stateful and not spec.tosses


@probe("high", "state", applies=_is_followed)
def step_follows_from_the_steps_before(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """After any steps the next one keeps, removes and weighs tokens as the definition says for the tokens that were taken: mirostat's bound
    has moved by their surprise, adaptive-p's mean by their probability, windows and repetitions hold them. The reference is told the tokens the
    target took, so one choice that differs is no error; a state that is lost, stale, shared or moved wrongly is."""
    outcome = target.run(case)
    yield from _wrong(self, judgements(target.spec, case, outcome.steps, outcome.tokens), begin=1)


@probe("high", "state", applies=lambda spec: spec.stateful)
def every_step_is_answered(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """What the first step answers, later ones answer too, in the promised shape and without NaN, and so do those after `reset` and those of a
    clone; `accept`, `reset` and `clone` themselves do not fail. Refusing is fair at any step where the logits or the parameters lie outside the
    common domain. A step that hangs or ends the process is told by `call_returns` and `process_survives`."""
    if case.steps is None:
        return
    replays = [name for name, offered in (("reset", target.spec.resets), ("clone", target.spec.clones)) if offered]
    for replay in replays or [""]:
        played = case.with_(steps=replace(case.steps, replay=replay))
        outcome = target.run(played)
        for index, answer in enumerate(outcome.steps):
            step, tokens = _place(played, outcome, index)
            judgement = Judgement(target.spec, step_of(played, step, tokens), answer)
            where = {"": "", "reset": "after reset, ", "clone": "of the clone, "}[replay] if index >= case.steps.count else ""
            for claim in _claims("contract"):
                for violation in claim.judge(claim, judgement) if claim.id not in ("call_returns", "process_survives") else ():  # type: ignore[misc]
                    seen = {"step": index, "taken": [int(taken[violation.row]) for taken in tokens[:step]]}
                    yield replace(
                        violation,
                        check=self.id,
                        title=f"{where}step {step}: {violation.title}",
                        observed={**violation.observed, **seen},
                        protocol=replay or "steps",
                    )
                    return


def _place(case: Case, outcome: Outcome, index: int) -> tuple[int, Sequence[np.ndarray]]:
    """Return which step of `case` the outcome's step `index` is, and the tokens of the steps of its run."""
    assert case.steps is not None
    count, fork, tokens = case.steps.count, case.steps.fork, outcome.tokens
    if index < count:
        return index, tokens
    return (index - count, tokens[count:]) if case.steps.replay == "reset" else (index - count + fork, (*tokens[:fork], *tokens[count:]))


def _claims(*kinds: str) -> list[Check]:
    """Return what every single call is held to, of the checks that weigh more than little."""
    return [c for c in CHECKS.values() if c.judge is not None and c.kind in kinds and c.severity != "low"]


@probe("high", "state", applies=lambda spec: _is_followed(spec) and spec.resets)
def reset_begins_afresh(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """After `reset` a stream is a new one: its first step is a first step, whatever came before. Samplers with several states have forgotten to
    reset one of them, and the next conversation began with the mood of the last."""
    if case.steps is None:
        return
    outcome = target.run(case.with_(steps=replace(case.steps, replay="reset")))
    count = case.steps.count
    if any(_wrong(self, judgements(target.spec, case, outcome.steps[:count], outcome.tokens[:count]))):
        return
    yield from _wrong(self, judgements(target.spec, case, outcome.steps[count:], outcome.tokens[count:]), reset_at=count)


@probe("high", "state", applies=lambda spec: spec.stateful and spec.clones and is_pinned(spec))
def clone_goes_on_as_the_original_would(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """A clone that is given what the original is given answers the same, its random numbers included, and neither disturbs the other.
    Beam search, speculative decoding and retries clone a sampler in the middle of a text: clones have lost mirostat's bound or the counts of
    a penalty, and shallow ones share them."""
    if case.steps is None:
        return
    outcome = target.run(case.with_(steps=replace(case.steps, replay="clone")))
    count, fork = case.steps.count, case.steps.fork
    for index, (own, other) in enumerate(zip(outcome.steps[fork:count], outcome.steps[count:], strict=False), fork):
        row = _differing_row(own, other)
        if row is not None:
            yield _disagreement(self, row, f"step {index}: the clone made before step {fork} answers differently", own, other, "clone")
            return


@probe("high", "state", applies=lambda spec: spec.stateful and is_pinned(spec))
def replay_gives_the_same_steps(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """A new stream that is given the same logits, parameters and seed or uniforms takes the same steps. What one stream leaves behind for
    the next, in a static variable or a default argument, shows here."""
    first, second = target.run(case), target.run(case)
    for index, (one, other) in enumerate(zip(first.steps, second.steps, strict=False)):
        row = _differing_row(one, other)
        if row is not None:
            yield _disagreement(self, row, f"step {index} of the same stream played twice gives two answers", one, other, "replay")
            return


@probe("high", "state", applies=lambda spec: spec.stateful and draws_are_pinned(spec))
def row_of_a_stream_stands_alone(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """Each row of a stream takes the steps that it takes alone: its state is its own. One bound for the whole batch, or a row number that changes
    when the batch does, mixes texts of different people."""
    together = target.run(case)
    batch = judgements(target.spec, case, together.steps, together.tokens)
    for row in range(case.rows if case.rows > 1 else 0):
        single = target.run(case.take([row]))
        alone = judgements(target.spec, case.take([row]), single.steps, single.tokens)
        index = _first_difference(batch, alone, row)
        if index is None or (together.steps[index].form == "tokens" and not _is_sure(target, case, row)):
            continue
        yield Violation(
            check=self.id,
            severity=self.severity,
            row=row,
            title=f"step {index}: row {row} of {case.rows} gives another answer in the batch than alone",
            expected={"alone": observed_row(alone[index], 0), "outcome": "value"},
            observed={"batch": observed_row(batch[index], row), "alone": observed_row(alone[index], 0), "outcome": "value", "step": index},
            protocol="alone",
        )
        return


def _wrong(self: Check, judged: Sequence[Judgement], *, begin: int = 0, reset_at: int | None = None) -> Iterator[Violation]:
    """Yield the first violation of what the law of a single call says."""
    after, offset = ("", 0) if reset_at is None else ("after reset, ", reset_at)
    for index, judgement in enumerate(judged[begin:], begin):
        for claim in _claims("support", "distribution"):
            for violation in claim.judge(claim, judgement) if claim.applies(judgement.spec) else ():  # type: ignore[misc]
                yield replace(
                    violation,
                    check=self.id,
                    severity=self.severity,
                    title=f"{after}step {index}: {violation.title}",
                    observed={
                        **violation.observed,
                        "step": offset + index,
                        "taken": [int(tokens[violation.row]) for _, tokens in judgement.past],
                    },
                    protocol="steps" if reset_at is None else "reset",
                )
                return


def _differing_row(one: Outcome, other: Outcome) -> int | None:
    """Return a row in which two answers to the same input differ by more than an order of summation could do."""
    if one.kind != "value" or other.kind != "value" or one.form != other.form:
        return None
    if one.form == "tokens":
        rows = np.flatnonzero(one.value != other.value)
    else:
        same = np.isclose(one.distributions(), other.distributions(), rtol=1e-4, atol=1e-9, equal_nan=True)
        rows = np.flatnonzero(~same.all(-1))
    return int(rows[0]) if len(rows) else None


def _disagreement(self: Check, row: int, title: str, one: Outcome, other: Outcome, protocol: str) -> Violation:
    def shown(outcome: Outcome) -> object:
        return int(outcome.value[row]) if outcome.form == "tokens" else outcome.distributions()[row].tolist()

    return Violation(
        check=self.id,
        severity=self.severity,
        row=row,
        title=title,
        expected={"outcome": "value"},
        observed={"outcome": "value", "first": shown(one), "second": shown(other)},
        protocol=protocol,
    )


def _first_difference(batch: Sequence[Judgement], alone: Sequence[Judgement], row: int) -> int | None:
    """Return the first step at which a row differs; after tokens that differ by the rounding of a choice nothing can be compared."""
    for index, (many, one) in enumerate(zip(batch, alone, strict=False)):
        if many.outcome.kind != "value" or one.outcome.kind != "value" or not many.clean[row]:
            return None
        if many.outcome.form == "tokens":
            differs = int(many.outcome.value[row]) != int(one.outcome.value[0])
        else:
            differs = distribution_differs(many, row, one)
        if differs:
            return index
        if index + 1 < min(len(batch), len(alone)) and batch[index + 1].past[-1][1][row] != alone[index + 1].past[-1][1][0]:
            return None
    return None


def _is_sure(target: Target, case: Case, row: int) -> bool:
    """Repeat with other draws: a difference at one uniform may be rounding at the edge of a step of the CDF, at three of eight it is not."""
    assert case.steps is not None
    rng = np.random.default_rng(case.rows * 1000 + row)
    own = np.arange(case.rows) == row
    differences = 0
    for _ in range(8):
        changed = case
        if case.u is not None and case.steps.u is not None:
            later = np.where(own, rng.random(case.steps.u.shape), case.steps.u)
            changed = changed.with_(u=np.where(own, rng.random(), case.u), steps=replace(case.steps, u=later))
        if case.seeds is not None:
            changed = changed.with_(seeds=np.where(own, rng.integers(0, 2**31), case.seeds))
        together, single = target.run(changed), target.run(changed.take([row]))
        both = zip(together.steps, single.steps, strict=False)
        differences += any(a.kind == b.kind == "value" and int(a.value[row]) != int(b.value[0]) for a, b in both)
    return differences >= 3
