"""Every built-in sampler agrees with its oracle on adversarial rows."""

import pytest

from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import FindingFound, TargetFinished
from samplerfuzz.engine.run import CLEAN, run, select_checks
from samplerfuzz.targets.builtin import CHAINS, builtin_target


@pytest.mark.parametrize("name", CHAINS)
def test_no_disagreement_with_the_oracle(name):
    findings, pairs = [], []

    def listen(event):
        if isinstance(event, FindingFound):
            findings.append((event.finding.violation.check, event.finding.violation.title))
        if isinstance(event, TargetFinished):
            pairs.append(event.pairs)

    status = run(
        [builtin_target(name)], checks=select_checks([], []), seed=3, limits=Limits(seconds=120, cases=4000), fail_on="low", listener=listen
    )
    assert findings == []
    assert status == CLEAN
    assert pairs[0] >= 4000
