"""The table of checks: the claim, its severity, its kind and the paragraph that `samplerfuzz explain` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from samplerfuzz.cases import Case
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.stats import ErrorBudget
from samplerfuzz.targets.target import Target, TargetSpec

Judge = Callable[["Check", Judgement], Iterator[Violation]]
Probe = Callable[["Check", Target, Case], Iterator[Violation]]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One claim.

    Attributes:
      id: the claim, in words joined by underscores.
      severity: of a violation.
      kind: family: support, distribution, metamorphic, rows, seeds, draws, uniforms, contract, state.
      explanation: a paragraph for people.
      judge: looks at one answered call; or
      probe: makes calls of its own, starting from a case.
      applies: whether the check means anything for a target.
      one_row: whether a probe looks at the first row of its case alone.
      budget: of the run that the check is bound to; a statistical check takes its threshold from it.
    """

    id: str
    severity: str
    kind: str
    explanation: str
    judge: Judge | None = None
    probe: Probe | None = None
    applies: Callable[[TargetSpec], bool] = lambda spec: True
    one_row: bool = False
    budget: ErrorBudget | None = None

    def within(self, budget: ErrorBudget) -> Check:
        """Return the check bound to a run's error budget."""
        return replace(self, budget=budget)

    def run_budget(self) -> ErrorBudget:
        """Return the error budget of the run that the check is bound to."""
        assert self.budget is not None, "a statistical check belongs to a run: bind it with check.within(budget)"
        return self.budget

    def examine(self, target: Target, case: Case) -> list[Violation]:
        """Run the check on one case from scratch: how a violation is confirmed and shrunk."""
        if self.judge is not None:
            return list(self.judge(self, Judgement(target.spec, case, target.run(case))))
        assert self.probe is not None
        return list(self.probe(self, target, case))


CHECKS: dict[str, Check] = {}


def check(severity: str, kind: str, *, applies: Callable[[TargetSpec], bool] = lambda spec: True) -> Callable[[Judge], Judge]:
    """Register a function that judges one answered call; its name is the id, its docstring the explanation."""

    def register(function: Judge) -> Judge:
        CHECKS[function.__name__] = Check(
            id=function.__name__, severity=severity, kind=kind, explanation=function.__doc__ or "", judge=function, applies=applies
        )
        return function

    return register


def probe(severity: str, kind: str, *, applies: Callable[[TargetSpec], bool], one_row: bool = False) -> Callable[[Probe], Probe]:
    """Register a function that makes calls of its own; its name is the id, its docstring the explanation."""

    def register(function: Probe) -> Probe:
        CHECKS[function.__name__] = Check(
            id=function.__name__,
            severity=severity,
            kind=kind,
            explanation=function.__doc__ or "",
            probe=function,
            applies=applies,
            one_row=one_row,
        )
        return function

    return register


def load_all() -> dict[str, Check]:
    """Import every check module and return the table."""
    from samplerfuzz.checks import calls, contract, draws, independence, metamorphic, rows, seeds, steps, streams, support, uniforms  # noqa: F401

    return CHECKS
