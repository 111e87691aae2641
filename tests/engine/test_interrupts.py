"""Ctrl-C stops a run where stopping is safe, and what was found is told."""

import os
import signal
import time

import numpy as np
import pytest

from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import FindingConfirmed, FindingFound, RunFinished, TargetFinished
from samplerfuzz.engine.run import CLEAN, INTERRUPTED, run, select_checks
from samplerfuzz.targets.plain import PlainTarget, find_function, target

DEFECT = "samplerfuzz.zoo.filters:top_k_keeps_one_more"


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0)  # the interpreter sees to signals between two steps


def fuzz(tested, *, on=lambda event: None, cases=300, **arguments):
    events = []

    def listen(event):
        on(event)
        events.append(event)

    status = run(
        [tested],
        checks=select_checks(["support", "contract"], []),
        seed=1,
        limits=Limits(seconds=20.0, cases=cases),
        fail_on="low",
        listener=listen,
        **arguments,
    )
    return status, events


@target(order=["top_k"], returns="logits")
def right(logits, top_k):
    """Keep everything that is at least the k-th largest logit."""
    if not (logits < np.inf).all() or not (logits > -np.inf).any(-1).all():
        raise ValueError
    k = logits.shape[1] if top_k <= 0 else min(int(top_k), logits.shape[1])
    return np.where(logits >= np.sort(logits, -1)[:, -k, None], logits, -np.inf)


def test_a_call_of_the_target_ends_before_the_run_does():
    calls = []

    @target(order=["top_k"], returns="logits")
    def interrupted(logits, top_k):
        calls.append("begun")
        if len(calls) == 9:
            press_ctrl_c()
        calls.append("ended")
        return right(logits, top_k)

    status, events = fuzz(PlainTarget(interrupted, locator="f"))
    assert (status, events[-1].status) == (INTERRUPTED, INTERRUPTED)
    assert calls == ["begun", "ended"] * 5
    assert [e.complete for e in events if isinstance(e, TargetFinished)] == [False]


def test_a_second_one_ends_a_call_that_hangs():
    @target(order=["top_k"], returns="logits")
    def hangs(logits, top_k):
        press_ctrl_c()
        press_ctrl_c()
        time.sleep(60)

    status, events = fuzz(PlainTarget(hangs, locator="f", time_limit=100.0))
    assert status == INTERRUPTED
    assert isinstance(events[-1], RunFinished)


def test_a_target_that_swallows_it_does_not_go_on():
    calls = []

    @target(order=["top_k"], returns="logits")
    def swallows(logits, top_k):
        calls.append(top_k)
        try:
            press_ctrl_c()
            press_ctrl_c()
        except BaseException:
            return right(logits, top_k)

    assert fuzz(PlainTarget(swallows, locator="f"))[0] == INTERRUPTED
    assert len(calls) == 1


def test_what_was_being_shrunk_is_told_as_it_was_met():
    def on(event):
        if isinstance(event, FindingConfirmed):
            press_ctrl_c()

    status, events = fuzz(PlainTarget(find_function(DEFECT), locator=DEFECT), on=on)
    assert status == INTERRUPTED
    confirmed = [e.finding for e in events if isinstance(e, FindingConfirmed)]
    found = [e.finding for e in events if isinstance(e, FindingFound)]
    assert len(confirmed) == len(found) == len(events[-1].findings) == 1
    assert found[0].case is confirmed[0].case


def test_a_model_is_loaded_to_its_end():
    loaded = []

    def rows():
        press_ctrl_c()
        press_ctrl_c()
        loaded.append("rows")

    status, events = fuzz(PlainTarget(right, locator="f"), real_rows=rows)
    assert (status, loaded) == (INTERRUPTED, ["rows"])
    assert [type(e).__name__ for e in events] == ["RunStarted", "RunFinished"]


def test_reports_are_written_to_their_end():
    def on(event):
        if isinstance(event, RunFinished):
            press_ctrl_c()

    status, events = fuzz(PlainTarget(right, locator="f"), on=on)
    assert (status, events[-1].status) == (INTERRUPTED, CLEAN), "the report tells of a whole run"


def test_a_second_one_while_reports_are_written_is_obeyed():
    def on(event):
        if isinstance(event, RunFinished):
            press_ctrl_c()
            press_ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        fuzz(PlainTarget(right, locator="f"), on=on)


def test_the_handler_is_put_back_and_one_of_others_is_left_alone():
    before = signal.getsignal(signal.SIGINT)
    assert before is signal.default_int_handler
    fuzz(PlainTarget(right, locator="f"), cases=20)
    assert signal.getsignal(signal.SIGINT) is before
    heard = []

    def others(number, frame):
        heard.append(number)

    signal.signal(signal.SIGINT, others)
    try:
        assert fuzz(PlainTarget(right, locator="f"), cases=20, on=lambda event: press_ctrl_c())[0] == CLEAN
        assert heard
        assert signal.getsignal(signal.SIGINT) is others
    finally:
        signal.signal(signal.SIGINT, before)
