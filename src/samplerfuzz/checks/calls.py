"""A call does not depend on the calls before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.cases.before import call_before
from samplerfuzz.checks.evidence import observed_row
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.checks.registry import Check, probe
from samplerfuzz.checks.rows import beyond_rounding, distribution_differs, draws_are_pinned
from samplerfuzz.targets.target import Target, TargetSpec


def _shows_its_answer(spec: TargetSpec) -> bool:
    return spec.returns in ("logits", "probs") and draws_are_pinned(spec) and not spec.stateful


@probe("high", "metamorphic", applies=_shows_its_answer)
def earlier_calls_change_nothing(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """What a call answers does not depend on the call before it: a buffer or a cached threshold that is brought up to date too late gives a
    request what was asked for the one before. The same call is made twice after an unrelated one; both must answer alike, up to rounding."""
    target.run(call_before(case))
    first, second = target.run(case), target.run(case)
    if not (first.kind == second.kind == "value" and first.form == second.form):
        return
    after, again = Judgement(target.spec, case, first), Judgement(target.spec, case, second)
    unlike = beyond_rounding(target.spec, after.distributions, again.distributions)
    for row in np.flatnonzero(after.clean & unlike).tolist():
        single = Judgement(target.spec, case.take([row]), replace(second, value=second.value[row : row + 1]))
        if distribution_differs(after, row, single):
            yield Violation(
                check=self.id,
                severity=self.severity,
                row=row,
                title="a call answers otherwise when another call came before it",
                expected={"again": observed_row(again, row), "outcome": "value"},
                observed={"after another": observed_row(after, row), "again": observed_row(again, row), "outcome": "value"},
                protocol="after another",
            )
            return
