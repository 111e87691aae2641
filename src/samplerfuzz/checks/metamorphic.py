"""Relations between two answers: the vocabulary permuted, the logits shifted, masked columns appended."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.checks.contract import self_violation
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.checks.registry import Check, probe
from samplerfuzz.core.registry import parameter, technique
from samplerfuzz.targets.target import Target, TargetSpec


def _gives_distributions(spec: TargetSpec) -> bool:
    return spec.returns in ("logits", "probs") and not spec.tosses


def _has_no_ids(spec: TargetSpec) -> bool:
    return _gives_distributions(spec) and all(parameter(name).is_number for name in spec.parameters)


def _is_shift_invariant(spec: TargetSpec) -> bool:
    return _has_no_ids(spec) and all(technique(stage).shift_invariant for stage in spec.order)


@probe("high", "metamorphic", applies=_has_no_ids)
def permuting_the_vocabulary_permutes_the_answer(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """Token ids are names: renaming them renames the answer. A missing sort, a gather for a scatter, a write to the wrong
    place after a sort all break this."""
    order = np.random.default_rng(case.vocabulary).permutation(case.vocabulary)
    place = np.argsort(order)

    def renamed(ids: np.ndarray) -> np.ndarray:
        inside = (ids >= 0) & (ids < case.vocabulary)
        return np.where(inside, place[np.where(inside, ids, 0)], ids)

    history = None if case.history is None else tuple(renamed(ids) for ids in case.history)
    moved = case.with_(logits=case.logits[:, order], history=history)
    yield from _compared(self, target, case, moved, lambda p: p[:, place], "renaming the token ids changes more than their names")


@probe("high", "metamorphic", applies=_is_shift_invariant)
def shifting_the_logits_changes_nothing(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """A constant added to every logit of a row changes nothing (the multiplicative repetition penalty is exempt by definition)."""
    finite = np.isfinite(case.logits)
    # a multiple of a power of two keeps small integers and their differences exact
    moved = np.where(finite, case.logits + np.float32(16), case.logits)
    exact = np.where(finite, (moved - np.float32(16)) == case.logits, True).all()
    if exact:
        yield from _compared(self, target, case, case.with_(logits=moved), lambda p: p, "adding 16 to every logit changes the answer")


@probe("high", "metamorphic", applies=_gives_distributions)
def masked_columns_change_nothing(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """Columns of −∞ appended to a row (a padded vocabulary) change nothing: masking a token is deleting it."""
    if "top_k" in case.parameters and (np.asarray(case.parameters["top_k"]) > case.vocabulary).any():
        return
    wide = case.with_(logits=np.concatenate([case.logits, np.full((case.rows, 3), -np.inf, np.float32)], 1))
    yield from _compared(
        self, target, case, wide, lambda p: p[:, : case.vocabulary], "three columns of -inf appended to the row change the answer"
    )


def _compared(
    self: Check, target: Target, case: Case, other: Case, back: Callable[[np.ndarray], np.ndarray], title: str
) -> Iterator[Violation]:
    first, second = target.run(case), target.run(other)
    if first.kind != "value" or second.kind != "value" or first.form == "tokens":
        return
    one, two = Judgement(target.spec, case, first), Judgement(target.spec, other, second)
    left, right = one.distributions, back(two.distributions)
    for row in np.flatnonzero(one.judged & two.judged & one.legal):
        before, after = one.belief_of(int(row)), two.belief_of(int(row))
        certain = np.logical_and.reduce([b.must[0] | ~b.possible[0] for b in before])
        certain &= np.logical_and.reduce([back(b.must | ~b.possible)[0] for b in after])
        differs = ((left[row] > 0) != (right[row] > 0)) & certain & (np.maximum(left[row], right[row]) > 1e-30)
        if differs.any():
            token = int(np.flatnonzero(differs)[0])
            shown = {"first": left[row].tolist(), "second": right[row].tolist(), "token": token, "outcome": "value"}
            violation = self_violation(self, f"{title} (token {token})", {"outcome": "value"}, shown, protocol="relation")
            yield Violation(**{**violation.__dict__, "row": int(row)})
            return
