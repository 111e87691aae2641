"""Two targets on the same cases: where they differ, which convention explains it, and who is wrong by the oracle."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from samplerfuzz.cases import Case, Generator
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.core.errors import UsageError
from samplerfuzz.core.registry import parameter
from samplerfuzz.core.seeding import stream
from samplerfuzz.targets.target import Outcome, Target, TargetSpec

BOTH_FAIR = "both are fair: rounding, ties, or what neither declares"
_SIZES = (2, 3, 4, 8, 32)
_ROWS = 16
# what two orders of addition in single precision make of one probability, and what is as good as none
_RELATIVE, _ABSOLUTE = 1e-3, 1e-9


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One row that two targets answer differently.

    Attributes:
      case: the row.
      reason: "first is wrong", "second is wrong", "both are wrong", "only the first refuses", "only the second refuses", a convention
        "stage.name: value against value", an order against another, or BOTH_FAIR.
      answers: what each gave: probabilities [V], or why there is none.
    """

    case: Case
    reason: str
    answers: tuple[Any, Any]


@dataclass(kw_only=True)
class Comparison:
    """What came of a comparison: rows that agree, that both refuse, and by reason those that differ, each with its plainest row."""

    first: TargetSpec
    second: TargetSpec
    rows: int = 0
    agree: int = 0
    refused: int = 0
    unjudged: int = 0
    differ: dict[str, int] = field(default_factory=dict)
    examples: dict[str, Difference] = field(default_factory=dict)

    def add(self, difference: Difference) -> None:
        """Count a difference, and keep it where it is the plainest of its kind."""
        self.differ[difference.reason] = self.differ.get(difference.reason, 0) + 1
        known = self.examples.get(difference.reason)
        if known is None or _plainness(difference.case) < _plainness(known.case):
            self.examples[difference.reason] = difference


def compare(
    first: Target,
    second: Target,
    *,
    seed: int,
    seconds: float,
    cases: int | None = None,
) -> Comparison:
    """Throw the same rows at both and sort what differs.

    A parameter that only one of them takes is given the value that does nothing. Both must give logits or probabilities: two draws may
    differ and both be right.

    Args:
      seed: of the cases.
      seconds: how long.
      cases: at most so many rows.

    Raises:
      UsageError: a target only draws tokens or keeps a state, or they share no parameter.
    """
    specs = (first.spec, second.spec)
    for spec in specs:
        if spec.returns == "tokens" or spec.stateful:
            what = "draws tokens" if spec.returns == "tokens" else "keeps a state"
            raise UsageError(
                f"{spec.locator} {what}; compare takes targets that give logits or probabilities, `samplerfuzz fuzz` tests this one"
            )
    shared = [name for name in specs[0].parameters if name in specs[1].parameters]
    if not shared:
        raise UsageError(f"{specs[0].locator} and {specs[1].locator} share no parameter: {_takes(specs[0])}; {_takes(specs[1])}")
    generators = [Generator(parameters=shared, inputs=specs[0].inputs | specs[1].inputs, per_row=rows) for rows in (False, True)]
    result = Comparison(first=specs[0], second=specs[1])
    rng = stream(seed, "compare", specs[0].locator, specs[1].locator)
    deadline = time.monotonic() + seconds
    by_row = all(spec.per_row for spec in specs)
    while time.monotonic() < deadline and (cases is None or result.rows < cases):
        case = generators[by_row].case(rng, rows=int(rng.integers(1, _ROWS + 1)), size=int(rng.choice(_SIZES)))
        given = [_completed(case, spec) for spec in specs]
        outcomes = [target.run(part) for target, part in zip((first, second), given, strict=True)]
        _count(result, case, specs, given, outcomes)
    return result


def _count(
    result: Comparison, case: Case, specs: tuple[TargetSpec, TargetSpec], given: Sequence[Case], outcomes: Sequence[Outcome]
) -> None:
    judgements = [Judgement(spec, part, outcome) for spec, part, outcome in zip(specs, given, outcomes, strict=True)]
    answered = [outcome.kind == "value" for outcome in outcomes]
    result.rows += case.rows
    if not any(answered):
        result.refused += case.rows
        return
    clean = judgements[0].clean & judgements[1].clean
    result.unjudged += int((~clean).sum())
    if not all(answered):
        which = "first" if answered[1] else "second"
        for row in np.flatnonzero(clean).tolist():
            result.add(Difference(case=case.take([row]), reason=f"only the {which} refuses", answers=_shown(outcomes, row)))
        return
    p, q = (judgement.distributions for judgement in judgements)
    same = ((p > 0) == (q > 0)).all(-1) & (np.abs(p - q) <= _RELATIVE * np.maximum(p, q) + _ABSOLUTE).all(-1)
    result.agree += int((same & clean).sum())
    wrong = [_wrong(judgement) for judgement in judgements]
    for row in np.flatnonzero(clean & ~same).tolist():
        guilty = [rows[row] for rows in wrong]
        if all(guilty):
            reason = "both are wrong"
        elif any(guilty):
            reason = "first is wrong" if guilty[0] else "second is wrong"
        else:
            reason = _explained([j.case.take([row]) for j in judgements], specs, [_row(outcome, row) for outcome in outcomes])
        result.add(Difference(case=case.take([row]), reason=reason, answers=_shown(outcomes, row)))


def _wrong(judgement: Judgement) -> np.ndarray:
    """Return [B] bool: no reading of what the target declares explains the row."""
    wrong = judgement.clean & judgement.poisoned & ~judgement.poison_allowed
    if judgement.verdicts is not None:
        wrong = wrong.copy()
        wrong[judgement.verdicts[0]] = True
    return wrong


def _explained(cases: Sequence[Case], specs: tuple[TargetSpec, TargetSpec], outcomes: Sequence[Outcome]) -> str:
    """Return the convention whose value decides: with that of the other target, a target's own answer would be wrong."""
    for index, spec in enumerate(specs):
        other = specs[1 - index]
        for name, ours, theirs in _conventions(spec, other):
            swapped = replace(spec, declared={**spec.declared, name: theirs})
            if _wrong(Judgement(swapped, cases[index], outcomes[index])).any():
                values = (ours, theirs) if index == 0 else (theirs, ours)
                return f"{name}: {values[0]} against {values[1]}"
    if set(specs[0].order) == set(specs[1].order) and specs[0].order != specs[1].order and _order_decides(cases, specs, outcomes):
        return f"order: {' > '.join(specs[0].order)} against {' > '.join(specs[1].order)}"
    swapped_wrong = [
        _wrong(Judgement(replace(spec, declared=other.declared, dialect=other.dialect), case, outcome)).any()
        for spec, other, case, outcome in zip(specs, reversed(specs), cases, outcomes, strict=True)
    ]
    if any(swapped_wrong):
        return f"dialects: {specs[0].dialect or 'none'} against {specs[1].dialect or 'none'}"
    return BOTH_FAIR


def _order_decides(cases: Sequence[Case], specs: tuple[TargetSpec, TargetSpec], outcomes: Sequence[Outcome]) -> bool:
    swapped = (replace(spec, order=other.order) for spec, other in zip(specs, reversed(specs), strict=True))
    return any(_wrong(Judgement(spec, case, outcome)).any() for spec, case, outcome in zip(swapped, cases, outcomes, strict=True))


def _conventions(spec: TargetSpec, other: TargetSpec) -> Iterator[tuple[str, str, str]]:
    for name, theirs in other.declared.items():
        ours: Mapping[str, str] = spec.declared
        if ours.get(name, "") != theirs:
            yield name, ours.get(name, "undeclared"), theirs


def _completed(case: Case, spec: TargetSpec) -> Case:
    """Return the case as a target takes it: what it takes alone does nothing."""
    given = {name: case.parameters[name] for name in spec.parameters if name in case.parameters}
    for name in spec.parameters:
        if name not in given:
            off = parameter(name).switched_off(case.vocabulary)
            given[name] = np.full(case.rows, off, np.float64) if parameter(name).is_number else [off] * case.rows
    return case.with_(parameters=given)


def _row(outcome: Outcome, row: int) -> Outcome:
    return replace(outcome, value=outcome.value[row : row + 1])


def _shown(outcomes: Sequence[Outcome], row: int) -> tuple[Any, Any]:
    first, second = (o.distributions()[row] if o.kind == "value" else f"{o.kind}: {o.message}" for o in outcomes)
    return first, second


def _takes(spec: TargetSpec) -> str:
    return f"{spec.name} takes {', '.join(spec.parameters) or 'none'}"


def _plainness(case: Case) -> tuple[int, int, float]:
    with np.errstate(invalid="ignore"):
        digits = sum(len(f"{abs(x):g}") for x in case.logits.ravel().tolist())
    return case.vocabulary, digits, float(np.nan_to_num(np.abs(case.logits), posinf=1e30, neginf=1e30).sum())
