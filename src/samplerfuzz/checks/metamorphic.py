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
    exact = np.flatnonzero(np.where(finite, (moved - np.float32(16)) == case.logits, True).all(-1))
    if len(exact):
        plain = case.take(exact)
        yield from _compared(
            self, target, plain, plain.with_(logits=moved[exact]), lambda p: p, "adding 16 to every logit changes the answer"
        )


@probe("high", "metamorphic", applies=_gives_distributions)
def masked_columns_change_nothing(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """Columns of −∞ appended to a row (a padded vocabulary) change nothing: masking a token is deleting it."""
    if "top_k" in case.parameters:
        # beyond the row is off, and is not when the row is longer
        inside = np.flatnonzero(np.asarray(case.parameters["top_k"]) <= case.vocabulary)
        if not len(inside):
            return
        case = case.take(inside)
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
    differs = ((left > 0) != (right > 0)) & (np.maximum(left, right) > 1e-30)
    rows = np.flatnonzero(differs.any(-1) & one.judged & two.judged & one.legal)
    if not len(rows):
        return
    # under every reading both answers are settled, and are the same
    certain = differs[rows]
    for before, after in zip(one.beliefs_of(rows), two.beliefs_of(rows), strict=True):
        kept = before.must & back(after.must) & ~before.may_vanish & ~back(after.may_vanish)
        certain &= kept | (~before.possible & ~back(after.possible))
    for index in np.flatnonzero(certain.any(-1))[:1]:
        row, token = int(rows[index]), int(np.flatnonzero(certain[index])[0])
        shown = {"first": left[row].tolist(), "second": right[row].tolist(), "token": token, "outcome": "value"}
        violation = self_violation(self, f"{title} (token {token})", {"outcome": "value"}, shown, protocol="relation")
        yield Violation(**{**violation.__dict__, "row": row})
