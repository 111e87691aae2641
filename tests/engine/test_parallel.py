"""A run on several processes is one run: the same findings, one count, one budget, one end."""

import os
import signal
from collections import Counter
from functools import partial

import numpy as np
import pytest

from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import BudgetReserved, Checkpoint, FindingFound, RunFinished, TargetFinished, TargetStarted
from samplerfuzz.engine.history import history_of
from samplerfuzz.engine.run import CLEAN, FINDINGS, INTERRUPTED, run, select_checks
from samplerfuzz.stats import ErrorBudget
from samplerfuzz.targets.isolated import load_target

SOURCE = """
import os
import numpy as np

def right(logits, top_k):
    if not (logits < np.inf).all() or not (logits > -np.inf).any(-1).all():
        raise ValueError
    k = logits.shape[1] if top_k <= 0 else min(int(top_k), logits.shape[1])
    return np.where(logits >= np.sort(logits, -1)[:, -k, None], logits, -np.inf)

def wrong(logits, top_k):
    if not (logits < np.inf).all() or not (logits > -np.inf).any(-1).all():
        raise ValueError
    k = logits.shape[1] if top_k <= 0 else min(int(top_k) + 1, logits.shape[1])
    return np.where(logits >= np.sort(logits, -1)[:, -k, None], logits, -np.inf)

def draw(logits, temperature, seed):
    if not 0 < temperature < np.inf or not (logits < np.inf).all() or not (logits > -np.inf).any(-1).all():
        raise ValueError
    u = np.random.default_rng(seed).random(logits.shape)
    with np.errstate(all="ignore"):
        return (logits.astype(float) / temperature - np.log(-np.log(np.maximum(u, 1e-300)))).argmax(-1)
"""
OPEN = partial(load_target, time_limit=5.0)


@pytest.fixture
def file(tmp_path):
    (tmp_path / "samplers.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path / "samplers.py"


def fuzz(file, *names, workers, cases=1500, seconds=60.0, checks=("support",), on=lambda event: None, **arguments):
    events = []

    def listen(event):
        events.append(event)
        on(event)

    targets = [OPEN(f"{file}:{name}") for name in names]
    try:
        status = run(
            targets,
            checks=select_checks(checks, []),
            seed=1,
            limits=Limits(seconds=seconds, cases=cases),
            fail_on="low",
            listener=listen,
            workers=workers,
            open_target=OPEN,
            **arguments,
        )
    finally:
        for target in targets:
            target.close()
    return status, events


def only(events, kind):
    return [e for e in events if isinstance(e, kind)]


def test_the_verdict_does_not_depend_on_the_number_of_processes(file):
    found = {}
    for workers in (1, 3):
        status, events = fuzz(file, "right", "wrong", workers=workers)
        assert status == FINDINGS
        assert [e.status for e in only(events, RunFinished)] == [FINDINGS]
        ended = only(events, TargetFinished)
        assert Counter(e.target.rpartition(":")[2] for e in ended) == {"right": 1, "wrong": 1}
        assert all(e.complete for e in ended)
        assert sum(e.pairs for e in ended) >= 1500
        found[workers] = {f.id for e in ended for f in e.findings}
        assert {e.finding.id for e in only(events, FindingFound)} == found[workers]
    assert found[1] == found[3]


def test_one_target_is_split_and_counted_once(file):
    status, events = fuzz(file, "wrong", workers=2)
    assert status == FINDINGS
    assert len(only(events, TargetStarted)) == 1
    (ended,) = only(events, TargetFinished)
    last = only(events, Checkpoint)[-1]
    assert (last.pairs, last.calls, last.outcomes) == (ended.pairs, ended.calls, ended.outcomes)
    assert len({e.finding.id for e in only(events, FindingFound)}) == len(only(events, FindingFound))
    assert ended.cells == len({cell for e in only(events, Checkpoint) for cell in e.cells})


def test_processes_share_one_error_budget():
    alone = ErrorBudget()
    shares = [ErrorBudget(share=(index, 3)) for index in range(3)]
    thresholds = [share.next_threshold() for _ in range(20) for share in shares]
    assert thresholds == [alone.next_threshold() for _ in range(60)]
    assert np.isclose(sum(share.spent for share in shares), alone.spent)


def test_the_budget_that_processes_may_have_spent_is_written_down(file):
    status, events = fuzz(file, "draw", workers=2, checks=("draws", "support"), cases=None, seconds=3.0)
    assert status == CLEAN
    reserved = max(e.tests for e in only(events, BudgetReserved))
    assert 0 < only(events, RunFinished)[0].alpha_spent <= ErrorBudget(started=reserved).spent


def test_a_run_goes_on_with_another_number_of_processes(file):
    _, events = fuzz(file, "right", workers=2)
    (ended,) = only(events, TargetFinished)
    broken_off = [e for e in events if not isinstance(e, TargetFinished | RunFinished)]
    past = history_of(broken_off)
    for workers in (1, 2):
        status, after = fuzz(file, "right", workers=workers, cases=4000, past=past)
        assert status == CLEAN
        (again,) = only(after, TargetFinished)
        assert again.pairs > ended.pairs
        assert again.cells >= ended.cells


def test_ctrl_c_stops_every_process_and_keeps_what_was_found(file):
    pressed = []

    def press(event):
        if isinstance(event, FindingFound) and not pressed:
            pressed.append(os.kill(os.getpid(), signal.SIGINT))

    status, events = fuzz(file, "wrong", "right", workers=2, cases=10**8, on=press)
    assert status == INTERRUPTED
    assert only(events, RunFinished)[0].findings
    assert not any(e.complete for e in only(events, TargetFinished))


def test_a_target_that_cannot_be_opened_in_a_process_is_an_error(file):
    from samplerfuzz.core.errors import UsageError

    target = OPEN(f"{file}:right")
    target.close()
    file.write_text("raise ImportError('gone')", encoding="utf-8")
    with pytest.raises(UsageError, match="gone"):
        run(
            [target],
            checks=select_checks(["support"], []),
            seed=1,
            limits=Limits(seconds=5.0),
            fail_on="low",
            listener=lambda event: None,
            workers=2,
            open_target=OPEN,
        )
