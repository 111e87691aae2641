"""Quality: every defect of the zoo is caught from the plain function alone, and shrunk."""

import pytest

from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import FindingFound
from samplerfuzz.engine.run import run, select_checks
from samplerfuzz.targets.isolated import load_target
from samplerfuzz.zoo import DEFECTS

MOST_ROWS, MOST_TOKENS = 3, 16
# evidence from many draws or calls is told as it was met, and these bugs need more by their nature
LARGER = {
    "JX-02": "few bits of noise show in a tail of many tokens",
    "OT-08B": "the first block that loses a carry is the third",
    "VL-15": "rows times tokens have to pass where the offset wraps",
    **dict.fromkeys(("FI-09", "FI-10"), "a hang costs its time limit each time it is seen"),
    **dict.fromkeys(("FI-06", "FI-13", "LC-05", "OL-04", "OT-08", "SG-05", "SJ-05", "TR-03"), "many draws or two calls"),
}


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
    if name not in LARGER:
        assert found[0].case.rows <= MOST_ROWS
        assert found[0].case.vocabulary <= MOST_TOKENS


class _Enough(KeyboardInterrupt):
    """Ends a run at its first finding: the engine treats it as Ctrl-C."""


def _stop_at(event, found):
    if isinstance(event, FindingFound):
        found.append(event.finding)
        raise _Enough
