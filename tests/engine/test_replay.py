"""A recorded finding, on the target as it is now: FIXED, FAILED or ERROR."""

import numpy as np
import pytest

from samplerfuzz.checks.registry import load_all
from samplerfuzz.core.errors import UsageError
from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import FindingFound
from samplerfuzz.engine.replay import ERROR, FAILED, FIXED, replay
from samplerfuzz.engine.run import run, select_checks
from samplerfuzz.targets.plain import PlainTarget, target


def top_k(*, more=0, per_row=False, order=("top_k",), returns="logits", refuse=False, forget=False):
    """Return a top-k that keeps `more` tokens too many."""

    @target(order=order, returns=returns, per_row=per_row)
    def keep(logits, top_k):
        if refuse or not (logits < np.inf).all() or not (logits > -np.inf).any(-1).all():
            raise ValueError("no")
        if forget:
            return logits[:, :0]
        k = np.broadcast_to(top_k, len(logits)).astype(int)
        k = np.where(k <= 0, logits.shape[1], np.minimum(k + more, logits.shape[1]))
        ranked = -np.sort(-logits, -1)
        return np.where(logits >= np.take_along_axis(ranked, k[:, None] - 1, -1), logits, -np.inf)

    return PlainTarget(keep, locator="f")


def drawing(power, *, seeded=True):
    """Return an inverse-CDF draw whose uniforms are raised to `power`: honest at 1."""
    unseeded = np.random.default_rng(5)

    def drawn(logits, temperature, rng):
        if not np.isfinite(logits).all() or not 1e-3 <= temperature <= 1e3:
            raise ValueError
        p = np.exp((logits - logits.max(-1, keepdims=True)).astype(np.float64) / temperature)
        u = rng.random(len(p)) ** power * p.sum(-1)
        return np.minimum((np.cumsum(p, -1) <= u[:, None]).sum(-1), p.shape[1] - 1)

    @target(order=["temperature"], returns="tokens")
    def with_seed(logits, temperature, seed):
        return drawn(logits, temperature, np.random.default_rng(seed))

    @target(order=["temperature"], returns="tokens")
    def without(logits, temperature):
        return drawn(logits, temperature, unseeded)

    return PlainTarget(with_seed if seeded else without, locator="f")


def findings_of(tested, *checks, seconds=20.0):
    found = []

    def listen(event):
        if isinstance(event, FindingFound):
            found.append(event.finding)

    limits = Limits(seconds=seconds, cases=300)
    run([tested], checks=select_checks(checks, []), seed=3, limits=limits, fail_on="low", listener=listen)
    return found


def replayed(findings, tested):
    def load(locator):
        if tested is None:
            raise UsageError(f"target {locator!r}: it is gone")
        return tested

    return list(replay(findings, load_all(), load))


@pytest.fixture(scope="module")
def findings():
    found = findings_of(top_k(more=1), "removed_token_has_no_probability")
    assert found
    return found


@pytest.mark.parametrize(
    ("now", "status", "message"),
    [
        (top_k(more=1), FAILED, "removed"),
        (top_k(), FIXED, "was: "),
        (top_k(per_row=True), FIXED, "was: "),
        (top_k(refuse=True), FAILED, "refuses legal input: ValueError: no"),
        (top_k(forget=True), FAILED, "returned shape"),
        (None, ERROR, "target 'f': it is gone"),
    ],
    ids=["as it was", "repaired", "repaired, one number a row", "refuses", "gives nothing", "gone"],
)
def test_a_finding_is_told_by_what_the_target_does_now(findings, now, status, message):
    legal = [f for f in findings if np.isfinite(f.case.logits).all() and (f.case.parameters["top_k"] >= 1).all()]
    assert legal
    for item in replayed(legal, now):
        assert item.status == status, item.message
        assert message in item.message


def test_a_refusal_of_nonsense_is_a_repair():
    def answers(logits, temperature):
        return np.nan_to_num(logits)

    def refuses(logits, temperature):
        if not np.isfinite(logits).all() or not np.isfinite(temperature):
            raise ValueError
        return logits / temperature

    found = findings_of(PlainTarget(answers, locator="f"), "nonsense_is_not_answered")
    assert {item.status for item in replayed(found, PlainTarget(refuses, locator="f"))} == {FIXED}


def test_a_case_that_no_longer_fits_is_an_error(findings):
    @target(order=["top_k", "top_p"], returns="logits")
    def more_parameters(logits, top_k, top_p):
        raise ValueError

    for item in replayed(findings, PlainTarget(more_parameters, locator="f")):
        assert (item.status, item.message.partition(",")[0]) == (ERROR, "the target takes 'top_p' now")


def test_a_claim_that_no_longer_applies_is_an_error():
    @target(order=["temperature"], returns="logits")
    def no_tokens(logits, temperature):
        return logits / temperature

    (item,) = replayed(findings_of(drawing(1.5), "draw_frequencies_match"), PlainTarget(no_tokens, locator="f"))
    assert (item.status, item.message.partition(";")[0]) == (ERROR, "the claim no longer applies to what the target takes and returns")


def test_a_check_that_is_gone_is_an_error(findings):
    for item in replay(findings, {}, lambda locator: top_k()):
        assert (item.status, item.message) == (ERROR, "this version has no check 'removed_token_has_no_probability'")


def test_one_number_a_call_cannot_repeat_rows_that_differ():
    @target(order=["top_k"], returns="logits", per_row=True)
    def first_rows_k(logits, top_k):
        return top_k_of(logits, np.full(len(logits), top_k[0]))

    def top_k_of(logits, k):
        return top_k().function(logits, k)

    found = [f for f in findings_of(PlainTarget(first_rows_k, locator="f"), "rows", "support") if f.case.rows > 1]
    assert found
    for item in replayed(found, top_k()):
        assert (item.status, "one a row" in item.message) == (ERROR, True)


@pytest.mark.parametrize("seeded", [True, False], ids=["with a seed", "without"])
def test_a_biased_draw_is_seen_again_and_an_honest_one_is_not_accused(seeded):
    found = findings_of(drawing(1.5, seeded=seeded), "draw_frequencies_match")
    assert [f.violation.check for f in found] == ["draw_frequencies_match"]
    assert [item.status for item in replayed(found, drawing(1.5, seeded=seeded))] == [FAILED]
    assert [item.status for item in replayed(found, drawing(1.0, seeded=seeded))] == [FIXED]


def test_what_was_started_before_does_not_weaken_a_replay():
    """The same draws are as telling in the fortieth finding as in the first: each has a budget of its own."""
    (found,) = findings_of(drawing(1.5), "draw_frequencies_match")
    told = {(item.status, item.message) for item in replayed([found] * 40, drawing(1.5))}
    assert [status for status, _ in told] == [FAILED]


def test_a_target_is_loaded_once(findings):
    loads = []

    def load(locator):
        loads.append(locator)
        return top_k()

    assert len(list(replay([*findings, *findings], load_all(), load))) == 2 * len(findings)
    assert loads == ["f"]
