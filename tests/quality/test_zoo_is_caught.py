"""Quality: every defect of the zoo is caught from the plain function alone, and shrunk."""

import pytest

from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import FindingFound
from samplerfuzz.engine.run import run, select_checks
from samplerfuzz.targets.isolated import load_target
from samplerfuzz.zoo import DEFECTS

MOST_ROWS = 8


@pytest.mark.parametrize("name", sorted(DEFECTS))
def test_defect_is_caught_and_shrunk(name):
    found = []
    target = load_target(DEFECTS[name].target, time_limit=0.5)
    run(
        [target],
        checks=select_checks([], []),
        seed=1,
        limits=Limits(seconds=60),
        fail_on="low",
        listener=lambda event: _stop_at(event, found),
    )
    target.close()
    assert len(found) == 1, "not caught"
    assert found[0].case.rows <= MOST_ROWS


class _Enough(KeyboardInterrupt):
    """Ends a run at its first finding: the engine treats it as Ctrl-C."""


def _stop_at(event, found):
    if isinstance(event, FindingFound):
        found.append(event.finding)
        raise _Enough
