"""Which tokens have probability, and how much."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from samplerfuzz.checks.evidence import expected_interval, expected_sets, observed_row
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.checks.registry import Check, check
from samplerfuzz.oracle import Belief
from samplerfuzz.targets.target import TargetSpec


def _gives_distributions(spec: TargetSpec) -> bool:
    return spec.returns != "tokens"


def _gives_tokens(spec: TargetSpec) -> bool:
    return spec.returns in (None, "tokens")


@check("critical", "support", applies=_gives_tokens)
def id_is_inside_the_vocabulary(self: Check, judgement: Judgement) -> Iterator[Violation]:
    """A drawn token is an id in [0, V). Anything else is read as memory that belongs to someone else: FlashInfer returned
    ids such as 1061800448, JAX 2147483647 for a NaN row. On nonsense (a NaN row) refusing is fair, an id outside is not."""
    if judgement.outcome.kind != "value" or judgement.outcome.form != "tokens":
        return
    tokens = judgement.outcome.value
    outside = np.flatnonzero((tokens < 0) | (tokens >= judgement.case.vocabulary))
    if len(outside):
        row = int(outside[0])
        yield Violation(
            check=self.id,
            severity=self.severity,
            row=row,
            title=f"returned token {int(tokens[row])}; the vocabulary has ids 0 to {judgement.case.vocabulary - 1}",
            expected={"outcome": "refusal or value", "range": [0, judgement.case.vocabulary - 1]},
            observed={"outcome": "value", "token": int(tokens[row])},
        )


@check("critical", "support")
def masked_token_is_never_emitted(self: Check, judgement: Judgement) -> Iterator[Violation]:
    """A token whose logit is −∞ was forbidden (a grammar, a banned word, padding). No sampler may give it probability, at
    any temperature: dividing −∞ by a negative number makes it +∞ and emits exactly the forbidden tokens."""
    for row, token, belief, index in _unexpected(judgement, masked=True):
        yield _row_violation(
            self, judgement, row, f"token {token} is masked (-inf) and was given probability", expected_sets(belief, index)
        )
        return


@check("high", "support")
def removed_token_has_no_probability(self: Check, judgement: Judgement) -> Iterator[Violation]:
    """A token that the filters remove under every fair reading of the parameters must not be drawn. The oracle puts a token
    into *never* only when it lies beyond ties, rounding and every convention that released engines follow."""
    for row, token, belief, index in _unexpected(judgement, masked=False):
        if _inverted_but_undeclared(judgement, row):
            continue
        yield _row_violation(self, judgement, row, f"token {token} must be removed and was given probability", expected_sets(belief, index))
        return


@check("high", "support", applies=_gives_distributions)
def no_more_tokens_stay_than_a_rule_keeps(self: Check, judgement: Judgement) -> Iterator[Violation]:
    """Where a dialect says that tokens which tie at a cut are cut to as many as fit, no more than these stay: which of them is
    free, how many is not. Without such a dialect keeping all that tie is fair, and nothing is claimed."""
    verdicts = judgement.verdicts
    if verdicts is None:
        return
    rows, belief, verdict = verdicts
    for index, row in enumerate(rows):
        if not verdict.too_many[index] or verdict.never_kept[index].any() or _inverted_but_undeclared(judgement, int(row)):
            continue
        kept = int((judgement.distributions[row] > 0).sum())
        title = f"kept {kept} tokens, at most {int(belief.most[index])} may stay"
        yield _row_violation(self, judgement, int(row), title, expected_sets(belief, index))
        return


@check("low", "contract", applies=lambda spec: "temperature" in spec.parameters and spec.negative_temperature == "reject")
def negative_temperature_is_refused(self: Check, judgement: Judgement) -> Iterator[Violation]:
    """A sampler that does not declare what T < 0 means should refuse it (greedy is accepted too). Dividing by a negative
    temperature turns the distribution upside down: the least likely tokens come first."""
    for row, token, belief, index in _unexpected(judgement, masked=False):
        if not _inverted_but_undeclared(judgement, row):
            continue
        t = float(judgement.case.parameters["temperature"][row])
        title = f"temperature {t:g} was answered with token {token}; refuse T < 0, or declare negative_temperature"
        yield _row_violation(self, judgement, row, title, {**expected_sets(belief, index), "outcome": "refusal or value"})
        return


def _row_violation(self: Check, judgement: Judgement, row: int, title: str, expected: dict[str, Any]) -> Violation:
    """Return a violation about one row, with what the target gave for it."""
    return Violation(check=self.id, severity=self.severity, row=row, title=title, expected=expected, observed=observed_row(judgement, row))


def _inverted_but_undeclared(judgement: Judgement, row: int) -> bool:
    t = judgement.case.parameters.get("temperature")
    return t is not None and judgement.spec.negative_temperature == "reject" and float(t[row]) < 0


def _unexpected(judgement: Judgement, *, masked: bool) -> Iterator[tuple[int, int, Belief, int]]:
    """Yield (row, token, belief, row of the belief) for tokens of never that were given probability."""
    forbidden = judgement.case.logits == -np.inf
    if judgement.outcome.form == "tokens":
        wrong = judgement.wrong_tokens
        if wrong is not None:
            rows, belief = wrong
            for index, row in enumerate(rows):
                token = int(judgement.outcome.value[row])
                if bool(forbidden[row, token]) == masked:
                    yield int(row), token, belief, index
        return
    verdicts = judgement.verdicts
    if verdicts is None:
        return
    rows, belief, verdict = verdicts
    for index, row in enumerate(rows):
        hits = np.flatnonzero(verdict.never_kept[index] & (forbidden[row] == masked))
        if len(hits):
            yield int(row), int(hits[0]), belief, index


@check("high", "support", applies=_gives_distributions)
def support_is_never_empty(self: Check, judgement: Judgement) -> Iterator[Violation]:
    """Clean input leaves at least one token. An all −∞ row becomes NaN in the softmax, or a draw from nothing."""
    if judgement.outcome.kind != "value" or judgement.outcome.form == "tokens":
        return
    empty = judgement.judged & ~(judgement.distributions > 0).any(-1)
    if judgement.outcome.form == "logits":
        # nothing but -inf is NaN for whoever draws: fair where NaN is
        empty &= ~judgement.poison_allowed
    for row in np.flatnonzero(empty):
        belief = judgement.belief_of(int(row))[0]
        yield _row_violation(self, judgement, int(row), "no token is left", expected_sets(belief, 0))
        return


@check("high", "support", applies=_gives_distributions)
def kept_token_has_probability(self: Check, judgement: Judgement) -> Iterator[Violation]:
    """A token that every fair reading keeps must keep its probability; and where ties leave the choice open, the number of
    kept tokens must still be one that some correct rule gives."""
    verdicts = judgement.verdicts
    if verdicts is None:
        return
    rows, belief, verdict = verdicts
    for index, row in enumerate(rows):
        if not (judgement.distributions[row] > 0).any() or _inverted_but_undeclared(judgement, int(row)):
            continue
        missing = np.flatnonzero(verdict.must_missing[index])
        if len(missing) or (verdict.too_few[index] and not verdict.never_kept[index].any()):
            kept = int((judgement.distributions[row] > 0).sum())
            title = (
                f"token {int(missing[0])} must stay and has no probability"
                if len(missing)
                else f"kept {kept} tokens, at least {int(belief.least[index])} must stay"
            )
            yield _row_violation(self, judgement, int(row), title, expected_sets(belief, index))
            return


@check("medium", "distribution", applies=_gives_distributions)
def probability_matches_the_definition(self: Check, judgement: Judgement) -> Iterator[Violation]:
    """Over the tokens that were kept, the probabilities are exp(z/T) renormalised, penalties and biases included, within the
    rounding of the declared dtype."""
    verdicts = judgement.verdicts
    if verdicts is None:
        return
    rows, belief, verdict = verdicts
    for index, row in enumerate(rows):
        wrong_support = verdict.never_kept[index].any() or verdict.must_missing[index].any()
        if not verdict.out_of_band[index].any() or wrong_support or _inverted_but_undeclared(judgement, int(row)):
            continue
        token = int(np.argmax(np.abs(judgement.distributions[row] - verdict.expected[index]) * verdict.out_of_band[index]))
        got, right = float(judgement.distributions[row, token]), float(verdict.expected[index, token])
        yield Violation(
            check=self.id,
            severity=self.severity,
            row=int(row),
            title=f"token {token} has probability {got:.6g}, the definition gives {right:.6g}",
            expected={**expected_interval(belief, index), "probabilities": verdict.expected[index].tolist()},
            observed=observed_row(judgement, int(row)),
        )
        return
