"""Quality: the oracle tells right from wrong for the rarer techniques: each mistake is found, no correct sampler is accused."""

import importlib.util
import inspect
from pathlib import Path

import pytest

from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import FindingFound, TargetFinished
from samplerfuzz.engine.run import CLEAN, run, select_checks
from samplerfuzz.targets.plain import PlainTarget

HERE = Path(__file__).parent


def _targets(file):
    specification = importlib.util.spec_from_file_location(file, HERE / f"{file}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return {name: f for name, f in inspect.getmembers(module, inspect.isfunction) if hasattr(f, "__samplerfuzz__")}


WRONG, RIGHT = _targets("wrong_techniques"), _targets("clean_techniques")


class _Enough(KeyboardInterrupt):
    """Ends a run at its first finding: the engine treats it as Ctrl-C."""


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_found(name):
    found = []

    def listen(event):
        if isinstance(event, FindingFound):
            found.append(event.finding.violation)
            raise _Enough

    target = PlainTarget(WRONG[name], locator=f"wrong_techniques.py:{name}")
    # the oracle must see it: a refusal outside its range is no evidence
    checks = select_checks(["support", "distribution", "rows"], [])
    run([target], checks=checks, seed=1, limits=Limits(seconds=30, cases=30_000, shrink=False), fail_on="low", listener=listen)
    assert found, "not caught"


@pytest.mark.parametrize("name", RIGHT)
def test_a_correct_sampler_is_not_accused(name):
    found, passed = [], []

    def listen(event):
        if isinstance(event, FindingFound):
            found.append((event.finding.violation.check, event.finding.violation.title))
        if isinstance(event, TargetFinished):
            passed.append(event.outcomes.get("pass", 0))

    target = PlainTarget(RIGHT[name], locator=f"clean_techniques.py:{name}")
    status = run([target], checks=select_checks([], []), seed=5, limits=Limits(seconds=60, cases=6000), fail_on="low", listener=listen)
    assert found == []
    assert status == CLEAN
    assert passed[0] > 1000
