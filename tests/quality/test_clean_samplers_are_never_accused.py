"""Quality: correct samplers in many styles are not accused, at the lowest severity."""

import ast
import tomllib
from pathlib import Path

import pytest

from samplerfuzz.checks.finding import Finding
from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import FindingFound, TargetFinished
from samplerfuzz.engine.run import CLEAN, NOTHING_TESTED, run, select_checks
from samplerfuzz.targets.isolated import load_target

HERE = Path(__file__).parent
FILES = ("clean_samplers.py", "clean_arrays.py", "clean_chains.py", "clean_draws.py", "clean_dtypes.py")


def samplers(file):
    """Return the names of the functions of a file whose first argument is logits."""
    tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.args.args]
    return [f.name for f in functions if f.args.args[0].arg == "logits" and not f.name.startswith(("require", "_"))]


SAMPLERS = [f"{file}:{name}" for file in FILES for name in samplers(file)]


def fuzzed(name, seconds):
    """Return the exit status, the findings and how many pairs were judged."""
    findings: list[Finding] = []
    judged = []

    def listen(event):
        if isinstance(event, FindingFound):
            findings.append(event.finding)
        if isinstance(event, TargetFinished):
            judged.append(event.outcomes.get("pass", 0))

    target = load_target(f"{HERE / name}")
    status = run([target], checks=select_checks([], []), seed=11, limits=Limits(seconds=seconds), fail_on="low", listener=listen)
    target.close()
    return status, [(f.violation.check, f.violation.title) for f in findings], judged[0]


@pytest.mark.parametrize("name", SAMPLERS)
def test_clean_sampler_is_not_accused(name):
    status, findings, judged = fuzzed(name, 1)
    if status == NOTHING_TESTED:  # a busy machine compiles, in a second, nothing that gives an answer
        status, findings, judged = fuzzed(name, 30)
    assert findings == []
    assert status == CLEAN
    assert judged > 0


def test_the_campaign_of_fuzz_names_every_clean_sampler():
    with open(HERE.parents[1] / "fuzz" / "clean_samplers.toml", "rb") as file:
        targets = tomllib.load(file)["targets"]
    wanted = [f"tests/quality/{file}:{name}" for file in (*FILES, "clean_techniques.py") for name in samplers(file)]
    assert sorted(targets) == sorted(wanted)
