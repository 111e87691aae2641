"""A seed decides the draw, and different draws are different."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.cases.flat import flat_case
from samplerfuzz.checks.contract import self_violation
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.registry import Check, probe
from samplerfuzz.targets.target import Target, TargetSpec

_SECONDS, _FEWEST = 10.0, 16  # for the many seeds of one look: a slow target is asked with fewer


def is_pinned(spec: TargetSpec) -> bool:
    """Whether the same call has to give the same answer."""
    if spec.returns in ("logits", "probs"):
        return not spec.tosses or bool(spec.inputs & {"seed", "u"})
    return bool(spec.inputs & {"seed", "u"})


@probe("high", "seeds", applies=is_pinned)
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


@probe("high", "seeds", applies=lambda spec: spec.draws and "seed" in spec.inputs)
def different_seeds_give_different_draws(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """Of 256 seeds (fewer where calls are slow) no two give the same 32 tokens on rows of 1000 equal tokens: by chance they do with probability below 1e-90. A seed that
    is ignored, or of which a few bits are used, repeats itself; requests that happen to share them share their text."""
    flat = _flat_case(target.spec, case)
    seen: dict[bytes, int] = {}
    begun = time.monotonic()
    for count, seed in enumerate(_scattered_seeds()):
        if count >= _FEWEST and time.monotonic() - begun > _SECONDS:
            return
        outcome = target.run(flat.with_(seeds=np.arange(flat.rows) * 101 * target.spec.per_row + seed))
        if outcome.kind != "value":
            return
        other = seen.setdefault(np.asarray(outcome.value, np.int64).tobytes(), seed)
        if other != seed:
            yield self_violation(
                self,
                f"seeds {other} and {seed} give the same 32 tokens on rows of 1000 equal tokens",
                {"outcome": "value"},
                {"outcome": "value", "seeds": [other, seed], "tokens": outcome.value[:8].tolist()},
                protocol="seeds",
            )
            return


def _scattered_seeds() -> list[int]:
    return [int(seed) for seed in np.unique(np.random.default_rng(0).integers(0, 2**31 - 2**16, 260))][:256]


@probe("high", "seeds", applies=lambda spec: spec.draws)
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


@probe("high", "seeds", applies=lambda spec: spec.draws and "seed" not in spec.inputs)
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
    return flat_case(spec.parameters, seeds="seed" in spec.inputs, per_row=spec.per_row, history=case.history is not None)


def _shown(value: np.ndarray, row: int) -> object:
    return np.asarray(value[row], np.float64).tolist() if value.ndim == 2 else int(value[row])
