"""Correct samplers of PyTorch are not accused, at the lowest severity."""

import ast
from pathlib import Path

import pytest

from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import FindingFound
from samplerfuzz.engine.run import CLEAN, run, select_checks
from samplerfuzz.targets.isolated import load_target

pytestmark = pytest.mark.heavy
FILE = Path(__file__).with_name("clean_torch.py")
NAMES = [node.name for node in ast.parse(FILE.read_text()).body if isinstance(node, ast.FunctionDef) and node.decorator_list]


@pytest.mark.parametrize("name", NAMES)
def test_clean_sampler_is_not_accused(name):
    findings = []
    target = load_target(f"{FILE}:{name}")
    try:
        status = run(
            [target],
            checks=select_checks([], []),
            seed=5,
            limits=Limits(seconds=5),
            fail_on="low",
            listener=lambda event: findings.append(event.finding) if isinstance(event, FindingFound) else None,
        )
    finally:
        target.close()
    assert [(f.violation.check, f.violation.title) for f in findings] == []
    assert status == CLEAN
