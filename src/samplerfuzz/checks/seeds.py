"""A seed decides the draw, and different draws are different."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.checks.contract import self_violation
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.registry import Check, probe
from samplerfuzz.core.registry import parameter
from samplerfuzz.targets.target import Target, TargetSpec

_ROWS, _SIZE = 32, 1000


def _pinned(spec: TargetSpec) -> bool:
    if spec.returns in ("logits", "probs"):
        return not spec.tosses or bool(spec.inputs & {"seed", "u"})
    return bool(spec.inputs & {"seed", "u"})


def _draws(spec: TargetSpec) -> bool:
    return spec.returns == "tokens" and "u" not in spec.inputs


@probe("high", "seeds", applies=_pinned)
def same_input_same_answer(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """The same call with the same seed (or the same uniforms) gives the same answer, bit for bit. Filters have no excuse not to."""
    first, second = target.run(case), target.run(case)
    if first.kind == second.kind == "value" and not np.array_equal(first.value, second.value, equal_nan=first.form != "tokens"):
        row = int(np.flatnonzero(np.reshape(first.value != second.value, (case.rows, -1)).any(-1))[0])
        yield self_violation(
            self,
            "the same call twice gives two answers",
            {"outcome": "value"},
            {"outcome": "value", "row": row, "first": _shown(first.value, row), "second": _shown(second.value, row)},
            protocol="repeat",
        )


@probe("high", "seeds", applies=lambda spec: _draws(spec) and "seed" in spec.inputs)
def seed_changes_the_draw(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """Different seeds give different draws: 32 rows over 1000 equal tokens agree for 6 seeds with probability below 1e-400."""
    flat = _flat_case(target.spec, case)
    answers = []
    for seed in (11, 22, 33, 44, 55, 66):
        outcome = target.run(flat.with_(seeds=np.arange(flat.rows) * 101 * target.spec.per_row + seed))
        if outcome.kind != "value":
            return
        answers.append(outcome.value)
    if all(np.array_equal(answers[0], other) for other in answers[1:]):
        yield self_violation(
            self,
            "six different seeds give the same 32 tokens on a flat row of 1000",
            {"outcome": "value"},
            {"outcome": "value", "tokens": answers[0][:8].tolist()},
            protocol="seeds",
        )


@probe("high", "seeds", applies=_draws)
def rows_draw_independently(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """Rows of one batch draw independently: 32 equal rows over 1000 equal tokens do not all give one token (probability 1e-93)."""
    flat = _flat_case(target.spec, case)
    outcome = target.run(flat)
    if outcome.kind == "value" and len(np.unique(outcome.value)) == 1:
        yield self_violation(
            self,
            f"32 rows of 1000 equal tokens all gave token {int(outcome.value[0])}",
            {"outcome": "value"},
            {"outcome": "value", "tokens": outcome.value[:8].tolist()},
            protocol="seeds",
        )


@probe("high", "seeds", applies=lambda spec: _draws(spec) and "seed" not in spec.inputs)
def calls_draw_independently(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """Without a seed, two calls draw anew: a generator made afresh with the same default in every call repeats itself."""
    flat = _flat_case(target.spec, case)
    first, second, third = target.run(flat), target.run(flat), target.run(flat)
    if (
        first.kind == second.kind == third.kind == "value"
        and np.array_equal(first.value, second.value)
        and np.array_equal(first.value, third.value)
    ):
        yield self_violation(
            self,
            "three calls without a seed give the same 32 tokens on a flat row of 1000",
            {"outcome": "value"},
            {"outcome": "value", "tokens": first.value[:8].tolist()},
            protocol="seeds",
        )


def _flat_case(spec: TargetSpec, case: Case) -> Case:
    """Return 32 flat rows of 1000 tokens under neutral parameters, with the inputs that the target takes."""
    parameters: dict[str, object] = {}
    for name in spec.parameters:
        item = parameter(name)
        parameters[name] = np.full(_ROWS, item.switched_off(_SIZE)) if item.is_number else [item.nothing() for _ in range(_ROWS)]
    history = tuple(np.zeros(0, np.int64) for _ in range(_ROWS)) if case.history is not None else None
    seeds = np.arange(_ROWS) * 977 * spec.per_row + 5
    return Case(
        logits=np.zeros((_ROWS, _SIZE), np.float32),
        parameters=parameters,
        history=history,
        prompt_length=None if history is None else np.zeros(_ROWS, np.int64),
        seeds=seeds if "seed" in spec.inputs else None,
        regime="flat",
        strategy="neutral",
    )


def _shown(value: np.ndarray, row: int) -> object:
    return np.asarray(value[row], np.float64).tolist() if value.ndim == 2 else int(value[row])
