"""Every built-in sampler agrees with its oracle on adversarial rows."""

import pytest

from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import FindingFound, TargetFinished
from samplerfuzz.engine.run import CLEAN, run, select_checks
from samplerfuzz.targets.builtin import CHAINS, builtin_target


def searched(name, checks, cases):
    """Return the event that ends a search that finds nothing."""
    findings, finished = [], []

    def listen(event):
        if isinstance(event, FindingFound):
            findings.append((event.finding.violation.check, event.finding.violation.title))
        if isinstance(event, TargetFinished):
            finished.append(event)

    limits = Limits(seconds=120, cases=cases)
    status = run([builtin_target(name)], checks=select_checks(checks, []), seed=3, limits=limits, fail_on="low", listener=listen)
    assert findings == []
    assert status == CLEAN
    return finished[0]


@pytest.mark.parametrize("name", CHAINS)
def test_no_disagreement_with_the_oracle(name):
    assert searched(name, [], 4000).pairs >= 4000


@pytest.mark.parametrize("name", [name for name in CHAINS if builtin_target(name).spec.stateful])
def test_each_step_follows_from_those_before(name):
    checked = searched(name, ["state"], 5_000 if CHAINS[name][1:] else 30_000).checks
    assert checked["step_follows_from_the_steps_before"] >= 5
    assert checked["reset_begins_afresh"] >= 5
