"""A run's exit status says what happened, and never more than that."""

import numpy as np
import pytest

from samplerfuzz.core.errors import UsageError
from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import FindingFound, RunFinished, TargetFinished
from samplerfuzz.engine.run import CLEAN, FINDINGS, INTERRUPTED, NOTHING_TESTED, run, select_checks
from samplerfuzz.targets.plain import PlainTarget, load_target, target


def fuzz(function, *, fail_on="medium", cases=400, listener=None, seed=1, seconds=20.0):
    events = []

    def listen(event):
        events.append(event)
        if listener:
            listener(event)

    loaded = load_target(function) if isinstance(function, str) else PlainTarget(function, locator="f")
    status = run(
        [loaded], checks=select_checks([], []), seed=seed, limits=Limits(seconds=seconds, cases=cases), fail_on=fail_on, listener=listen
    )
    return status, events


def test_a_target_that_refuses_everything_is_not_green():
    def refuse(logits, top_k):
        raise ValueError("no")

    status, events = fuzz(refuse, fail_on="critical")
    assert status in (FINDINGS, NOTHING_TESTED)
    assert status == NOTHING_TESTED or events[-1].findings


def test_refusing_legal_input_is_a_finding():
    def refuse(logits, top_k):
        raise ValueError("no")

    _, events = fuzz(refuse)
    assert {f.violation.check for f in events[-1].findings} == {"legal_parameters_are_accepted"}


def test_findings_below_the_limit_leave_the_status_clean():
    @target(order=["temperature"], returns="logits", zero_temperature="reject")
    def divides_by_negative_numbers(logits, temperature):
        if not np.isfinite(logits).all() or not np.isfinite(temperature) or abs(temperature) < 1e-30:
            raise ValueError
        return logits.astype(np.float64) / temperature

    status, events = fuzz(divides_by_negative_numbers, cases=4000)
    assert {f.violation.check for f in events[-1].findings} == {"negative_temperature_is_refused"}
    assert status == CLEAN
    assert fuzz(divides_by_negative_numbers, cases=4000, fail_on="low")[0] == FINDINGS


def test_ctrl_c_keeps_what_was_found():
    def interrupt(event):
        if isinstance(event, FindingFound):
            raise KeyboardInterrupt

    status, events = fuzz("samplerfuzz.zoo.filters:top_k_keeps_one_more", listener=interrupt)
    assert status == INTERRUPTED
    assert isinstance(events[-1], RunFinished)
    assert events[-1].findings


def test_the_same_seed_gives_the_same_cases():
    def outcome(seed):
        finished = [
            e for e in fuzz("samplerfuzz.zoo.filters:top_k_keeps_one_more", seed=seed, cases=300)[1] if isinstance(e, TargetFinished)
        ]
        return [
            (f.violation.title, f.case.logits.tolist())
            for f in finished[0].findings
            if f.violation.check == "removed_token_has_no_probability"
        ]

    assert outcome(5) == outcome(5)


def test_a_finding_is_shrunk():
    _, events = fuzz("samplerfuzz.zoo.filters:top_k_keeps_one_more")
    finding = next(f for f in events[-1].findings if f.violation.check == "removed_token_has_no_probability")
    assert finding.case.logits.shape == (1, 2)


def test_an_unknown_check_lists_the_known_ones():
    with pytest.raises(UsageError, match="kinds: contract"):
        select_checks(["nonsense"], [])


def test_an_assumed_order_is_said():
    def two(logits, temperature, top_k):
        raise ValueError

    assert PlainTarget(two, locator="x").spec.order_was_assumed
