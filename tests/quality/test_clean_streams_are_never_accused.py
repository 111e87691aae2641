"""Quality: correct stateful samplers in many styles are not accused, at the lowest severity."""

import ast
import tomllib
from pathlib import Path

import numpy as np
import pytest

from samplerfuzz.cases import Generator
from samplerfuzz.cases.steps import scenario
from samplerfuzz.checks.finding import Finding
from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import FindingFound, TargetFinished
from samplerfuzz.engine.run import CLEAN, run, select_checks
from samplerfuzz.stats import ErrorBudget
from samplerfuzz.targets.isolated import load_target

FILE = Path(__file__).with_name("clean_streams.py")
STREAMS = [
    node.name
    for node in ast.parse(FILE.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.decorator_list
]


@pytest.fixture(params=STREAMS)
def target(request):
    loaded = load_target(f"{FILE}:{request.param}")
    yield loaded
    loaded.close()


def test_a_clean_stream_is_not_accused(target):
    findings: list[Finding] = []
    passed = []

    def listen(event):
        if isinstance(event, FindingFound):
            findings.append(event.finding)
        if isinstance(event, TargetFinished):
            passed.append(event.outcomes.get("pass", 0))

    status = run([target], checks=select_checks([], []), seed=11, limits=Limits(seconds=60, cases=1000), fail_on="low", listener=listen)
    assert [(f.violation.check, f.violation.title) for f in findings] == []
    assert status == CLEAN
    assert passed[0] > 100


def test_the_steps_of_a_clean_stream_are_not_accused(target):
    spec, rng = target.spec, np.random.default_rng(13)
    generator = Generator(parameters=spec.parameters, inputs=spec.inputs, per_row=spec.per_row)
    budget = ErrorBudget()
    checks = [check.within(budget) for check in select_checks(["state"], []) if check.applies(spec)]
    assert bool(checks) is spec.stateful
    for check in checks:
        for case in [scenario(generator, rng) for _ in range(6)]:
            assert check.examine(target, case.take([0]) if check.one_row else case) == []


def test_the_campaign_of_fuzz_names_every_clean_stream():
    with open(FILE.parents[2] / "fuzz" / "clean_streams.toml", "rb") as file:
        targets = tomllib.load(file)["targets"]
    assert sorted(targets) == sorted(f"tests/quality/clean_streams.py:{name}" for name in STREAMS)
