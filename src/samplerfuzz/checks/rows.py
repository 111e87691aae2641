"""A row does not depend on the other rows: the largest class of real bugs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.checks.evidence import observed_row
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.checks.registry import Check, probe
from samplerfuzz.oracle import precision
from samplerfuzz.targets.target import Target, TargetSpec


def draws_are_pinned(spec: TargetSpec) -> bool:
    """Is a row's draw fixed by its own inputs? By u, or by a seed of its own; one seed a call feeds all rows."""
    if spec.returns in ("logits", "probs"):
        return not spec.tosses
    return "u" in spec.inputs or ("seed" in spec.inputs and spec.per_row)


@probe("high", "rows", applies=draws_are_pinned)
def row_alone_equals_row_in_batch(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """Each row gives the same answer alone and in a batch, whatever its neighbours are, poisoned ones included. Rows mixed
    up by a wrong axis, parameters left in request order, histories of row 0 used for all: all show here."""
    together = target.run(case)
    if together.kind != "value":
        return
    batch = Judgement(target.spec, case, together)
    for row in range(case.rows):
        if not batch.clean[row]:
            continue
        single = target.run(case.take([row]))
        if single.kind != "value" or single.form != together.form:
            continue
        alone = Judgement(target.spec, case.take([row]), single)
        if together.form == "tokens":
            tokens = int(together.value[row]), int(single.value[0])
            differs = tokens[0] != tokens[1] and not _tie(batch, row, tokens) and _token_differs_surely(target, case, row)
        else:
            differs = distribution_differs(batch, row, alone)
        if differs:
            yield Violation(
                check=self.id,
                severity=self.severity,
                row=row,
                title=f"row {row} of {case.rows} gives another answer in the batch than alone",
                expected={"alone": observed_row(alone, 0), "outcome": "value"},
                observed={"batch": observed_row(batch, row), "alone": observed_row(alone, 0), "outcome": "value"},
                protocol="alone",
            )
            return


def _tie(batch: Judgement, row: int, tokens: tuple[int, int]) -> bool:
    """Whether a reading leaves open which of two tokens stays: a tie, or what rounding may tie, is broken in any way."""
    return any(belief.may[0, list(tokens)].all() for belief in batch.belief_of(row))


def _token_differs_surely(target: Target, case: Case, row: int) -> bool:
    """Repeat with other draws: a difference at one u may be rounding at the edge of a CDF step, at three of eight it is not."""
    rng = np.random.default_rng(int(case.rows * 1000 + row))
    differences = 0
    for _ in range(8):
        changed = case
        if case.u is not None:
            changed = changed.with_(u=np.where(np.arange(case.rows) == row, rng.random(), case.u))
        if case.seeds is not None:
            # rows that share its seed go on sharing it
            changed = changed.with_(seeds=np.where(case.seeds == case.seeds[row], rng.integers(0, 2**31), case.seeds))
        together, single = target.run(changed), target.run(changed.take([row]))
        if together.kind == single.kind == "value":
            differences += int(together.value[row] != single.value[0])
    return differences >= 3


def distribution_differs(batch: Judgement, row: int, alone: Judgement) -> bool:
    """Whether a row of a batch differs from the same row alone by more than rounding and ties allow."""
    if batch.poisoned[row] or alone.poisoned[0]:
        return bool(batch.poisoned[row] != alone.poisoned[0]) and not bool(batch.poison_allowed[row])
    one, other = batch.distributions[row], alone.distributions[0]
    if not beyond_rounding(batch.spec, one, other):
        return False
    readings = batch.belief_of(row)
    certain = np.logical_and.reduce([(b.must[0] & ~b.may_vanish[0]) | ~b.possible[0] for b in readings])
    support_differs = ((one > 0) != (other > 0)) & certain & (np.maximum(one, other) > 1e-30)
    if support_differs.any():
        return True
    if ((one > 0) != (other > 0)).any():
        return False
    error = max(float(np.where(b.must, np.minimum(b.error, 700), 0).max()) for b in readings)
    slack = np.expm1(min(4 * error, 700)) + _rounding(batch.spec, len(one))
    return bool((np.abs(one - other) > slack * np.maximum(one, other) + 1e-30).any())


def beyond_rounding(spec: TargetSpec, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return [...] bool: two answers [..., V] differ by more than the least that the oracle allows for rounding, whatever the row."""
    near = np.abs(one - other) <= _rounding(spec, one.shape[-1]) * np.maximum(one, other) + 1e-30
    return ~(near & ((one > 0) == (other > 0))).all(-1)


def _rounding(spec: TargetSpec, size: int) -> float:
    return 64 * (size + 64) * precision(spec.dtype).unit
