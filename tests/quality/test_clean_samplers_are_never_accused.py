"""Quality: correct samplers in many styles are not accused, at the lowest severity."""

import inspect
from pathlib import Path

import pytest

from samplerfuzz.checks.finding import Finding
from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import FindingFound, TargetFinished
from samplerfuzz.engine.run import CLEAN, run, select_checks
from samplerfuzz.targets.isolated import load_target

FILE = Path(__file__).with_name("clean_samplers.py")


def _names():
    import importlib.util

    specification = importlib.util.spec_from_file_location("clean_samplers", FILE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    functions = inspect.getmembers(module, inspect.isfunction)
    return [name for name, f in functions if next(iter(inspect.signature(f).parameters), "") == "logits" and not name.startswith("_")]


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize("name", [n for n in _names() if not n.startswith(("require", "_"))])
def test_clean_sampler_is_not_accused(name, seed):
    findings: list[Finding] = []
    judged = []

    def listen(event):
        if isinstance(event, FindingFound):
            findings.append(event.finding)
        if isinstance(event, TargetFinished):
            judged.append(event.outcomes.get("pass", 0))

    target = load_target(f"{FILE}:{name}")
    status = run(
        [target],
        checks=select_checks([], []),
        seed=seed,
        limits=Limits(seconds=3),
        fail_on="low",
        listener=listen,
    )
    target.close()
    assert [(f.violation.check, f.violation.title) for f in findings] == []
    assert status == CLEAN
    assert judged[0] > 100
