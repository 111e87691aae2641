"""A run that was broken off goes on from its events: nothing found is lost, nothing counted is counted anew, no α is given twice."""

from dataclasses import replace

import numpy as np
import pytest

from samplerfuzz.core.errors import UsageError
from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import (
    INTERRUPTED,
    BudgetReserved,
    Checkpoint,
    FindingConfirmed,
    FindingFound,
    RunFinished,
    RunStarted,
    TargetFinished,
    TargetStarted,
)
from samplerfuzz.engine.history import differences, history_of
from samplerfuzz.engine.run import FINDINGS, run, select_checks
from samplerfuzz.targets.plain import PlainTarget, find_function, target

DEFECT = "samplerfuzz.zoo.filters:top_k_keeps_one_more"


class Killed(Exception):
    """What a kill is to the listener: nothing after it is heard."""


def fuzz(*targets, past=None, until=None, cases=400, seconds=20.0, checks=("support", "contract", "draws"), seed=1):
    """Return the events of a run, broken off right after the first event that `until` is true of."""
    events = []

    def listen(event):
        events.append(event)
        if until and until(event):
            raise Killed

    loaded = [PlainTarget(find_function(t), locator=t) if isinstance(t, str) else PlainTarget(t, locator=t.__name__) for t in targets]
    limits = Limits(seconds=seconds, cases=cases * len(targets))
    arguments = {"checks": select_checks(checks, []), "seed": seed, "limits": limits, "fail_on": "low", "past": past}
    try:
        run(loaded, listener=listen, **arguments)
    except Killed:
        return events
    assert isinstance(events[-1], RunFinished)
    return events


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


def as_json(findings):
    return [finding.to_json() for finding in findings]


@target(order=["temperature"], returns="tokens")
def biased(logits, temperature, seed):
    """Token 0 far too often: u is the square of a uniform."""
    if not np.isfinite(logits).all() or not 1e-3 <= temperature <= 1e3:
        raise ValueError
    p = np.exp((logits - logits.max(-1, keepdims=True)).astype(np.float64) / temperature)
    u = np.random.default_rng(seed).random(len(p)) ** 2
    return np.minimum((np.cumsum(p, -1) <= (u * p.sum(-1))[:, None]).sum(-1), p.shape[1] - 1)


@target(order=["top_k"], returns="logits")
def right(logits, top_k):
    """Keep everything that is at least the k-th largest logit."""
    if not (logits < np.inf).all() or not (logits > -np.inf).any(-1).all():
        raise ValueError
    k = logits.shape[1] if top_k <= 0 else min(int(top_k), logits.shape[1])
    return np.where(logits >= np.sort(logits, -1)[:, -k, None], logits, -np.inf)


def test_every_number_of_the_last_checkpoint_goes_on():
    events = fuzz(DEFECT, until=lambda e: isinstance(e, Checkpoint) and e.pairs > 200 and sum(e.repeats.values()) > len(e.repeats))
    last = events[-1]
    resumed = fuzz(DEFECT, past=history_of(events), cases=last.pairs)  # it has had its share: nothing more is thrown
    (done,) = only(resumed, TargetFinished)
    assert (done.calls, done.pairs, done.outcomes, done.checks, done.covered) == (
        last.calls,
        last.pairs,
        last.outcomes,
        last.checks,
        last.covered,
    )
    assert done.seconds >= last.seconds
    assert {f.id: f.repeats for f in done.findings} == last.repeats
    assert as_json(f for f in done.findings if f.repeats == 1) == as_json(
        e.finding for e in only(events, FindingFound) if last.repeats[e.finding.id] == 1
    )
    assert resumed[-1].status == FINDINGS


def test_a_killed_run_ends_with_at_least_what_it_had():
    events = fuzz(DEFECT, until=lambda e: isinstance(e, FindingFound))
    resumed = fuzz(DEFECT, past=history_of(events))
    (done,) = only(resumed, TargetFinished)
    assert events[-1].finding.id in {f.id for f in done.findings}
    assert done.pairs >= 400
    assert not [e for e in only(resumed, FindingFound) if e.finding.id == events[-1].finding.id], "it is not found a second time"


def test_a_finding_that_was_being_shrunk_is_shrunk_by_the_next_process():
    events = fuzz(DEFECT, until=lambda e: isinstance(e, FindingConfirmed))
    confirmed = events[-1].finding
    assert as_json(history_of(events).findings) == as_json([confirmed])
    numbers = {"outcomes": {"pass": 400}, "checks": {}, "covered": {}, "repeats": {}, "swept": 9}
    spent = Checkpoint(target=DEFECT, seconds=1.0, calls=9, pairs=400, draws=0, **numbers)
    resumed = fuzz(DEFECT, past=history_of([*events, spent]))  # no case is left that could find it anew
    (found,) = (e.finding for e in only(resumed, FindingFound))
    assert found.id == confirmed.id
    assert found.case.logits.size < confirmed.case.logits.size


def test_finished_targets_are_not_fuzzed_again():
    calls = []

    def first(logits, top_k):
        calls.append(top_k)
        return right(logits, top_k)

    events = fuzz(first, right, until=lambda e: isinstance(e, TargetStarted) and e.target == "right")
    before = len(calls)
    resumed = fuzz(first, right, past=history_of(events))
    assert len(calls) <= before + 1  # the one call that tells what an undeclared function returns
    assert [e.target for e in only(resumed, TargetFinished)] == ["right"]
    assert resumed[-1].status == 0


def test_a_run_killed_after_its_last_target_only_ends():
    events = fuzz(right, until=lambda e: isinstance(e, TargetFinished))
    resumed = fuzz(right, past=history_of(events))
    assert [type(e) for e in resumed] == [RunStarted, RunFinished]
    assert (resumed[0].times_resumed, resumed[-1].status) == (1, 0)


def test_time_spent_is_spent():
    events = fuzz(right, until=lambda e: isinstance(e, Checkpoint) and e.outcomes.get("pass"))
    late = replace(events[-1], seconds=100.0)
    (done,) = only(fuzz(right, past=history_of([*events[:-1], late]), seconds=100.0, cases=10**9), TargetFinished)
    assert done.calls == late.calls


def test_no_test_gets_a_share_of_alpha_that_was_spent():
    # killed in the middle of the first test: nothing is known of it but that it may have been started
    events = fuzz(biased, until=lambda e: isinstance(e, BudgetReserved))
    reserved = events[-1].tests
    resumed = fuzz(biased, past=history_of(events), cases=400_000, checks=("draws",))
    assert only(resumed, BudgetReserved)[0].tests == 2 * reserved
    finding = only(resumed, FindingFound)[0].finding
    alpha, threshold = (finding.violation.statistic[name] for name in ("alpha", "threshold"))
    assert threshold >= np.log(np.pi**2 * (reserved + 1) ** 2 / (6 * alpha)) - 1e-9
    assert resumed[-1].alpha_spent > alpha * 6 / np.pi**2 * sum(1 / k**2 for k in range(1, reserved + 1))


def test_two_runs_in_one_process_have_budgets_of_their_own():
    first, second = (next(e.tests for e in fuzz(biased, cases=4000) if isinstance(e, BudgetReserved)) for _ in range(2))
    assert first == second


def test_the_resumed_stream_is_a_fresh_one():
    thrown = set()

    @target(order=["top_k"], returns="logits")
    def recording(logits, top_k):
        if len(np.unique(logits)) > 8:  # small cases may well come twice
            thrown.add((top_k, logits.tobytes()))
        return right(logits, top_k)

    events = fuzz(recording, cases=2000, checks=("support",))
    before = set(thrown)
    thrown.clear()
    at_the_end_of_the_sweep = replace(only(events, Checkpoint)[-1], pairs=0)
    fuzz(recording, past=history_of([*events[:2], at_the_end_of_the_sweep]), cases=2000, checks=("support",))
    assert len(thrown) > 3
    assert not thrown & before


def test_an_interrupted_run_can_go_on_and_a_finished_one_cannot():
    finished = fuzz(right)
    assert history_of(finished).finished is finished[-1]
    interrupted = [*finished[:-2], replace(finished[-2], complete=False), replace(finished[-1], status=INTERRUPTED)]
    past = history_of(interrupted)
    assert past.finished is None
    assert past.by_target["right"].finished is None
    assert isinstance(fuzz(right, past=past)[-1], RunFinished)


def test_another_declaration_is_not_mixed_with_the_old_numbers():
    events = fuzz(right, until=lambda e: isinstance(e, Checkpoint))

    @target(order=["top_p"], returns="logits")
    def right_now(logits, top_p):
        raise ValueError

    right_now.__name__ = "right"
    with pytest.raises(UsageError, match="declares the stages top_p; when the run began it declared top_k"):
        fuzz(right_now, past=history_of(events))


def test_differences_name_what_is_only_there_and_only_here():
    run_so_far = history_of([RunStarted(targets=("a.py:f",), settings={"seed": 7, "checks": ["x", "y"]})])
    assert differences(run_so_far, {"targets": ["a.py:f"], "checks": ["x", "y"], "seed": 7}) == []
    assert differences(run_so_far, {"targets": ["b.py:g"], "checks": ["y"], "seed": 8}) == [
        "targets (only there: a.py:f; only here: b.py:g)",
        "checks (only there: x)",
        "seed 7 (here 8)",
    ]


def test_nothing_has_begun_before_the_first_line():
    assert history_of([]) is None


def test_the_short_history_tells_the_same_as_the_long_one():
    events = fuzz(DEFECT, right, until=lambda e: isinstance(e, Checkpoint) and e.target == "right")
    long = history_of(events)
    short = history_of([long.started, *long.events()])
    assert [e.target for e in long.events() if isinstance(e, TargetFinished)] == [DEFECT]
    assert as_json(short.findings) == as_json(long.findings)
    assert short.by_target["right"].checkpoint == long.by_target["right"].checkpoint
