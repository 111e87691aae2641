"""Every built-in sampler agrees with its oracle on adversarial rows."""

import numpy as np
import pytest

from samplerfuzz.cases import Generator, parameters
from samplerfuzz.cases.generator import STRATEGIES
from samplerfuzz.cases.steps import scenario
from samplerfuzz.checks.registry import load_all
from samplerfuzz.core.registry import parameter, technique
from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import FindingFound, TargetFinished
from samplerfuzz.engine.run import CLEAN, run, select_checks
from samplerfuzz.targets.builtin import CHAINS, builtin_target


@pytest.mark.parametrize("name", CHAINS)
def test_no_disagreement_with_the_oracle(name):
    assert_agrees(name)


def is_real(name):
    return parameter(name).is_number and parameter(name).kind not in ("integer", "switch")


def beside_edge(name, rng, rows, logits):
    """Return values off an edge by anything between a percent and what double precision resolves: single precision rounds most onto it."""
    if not is_real(name):
        return parameters.ordinary(name, rng, rows, logits)
    item = parameter(name)
    at = np.array([value for value in (*item.common, item.neutral, 0, 0.5, 1, -1) if value is not None and np.isfinite(value)])
    at = rng.choice(at, rows)
    off = rng.choice([-1, 1], rows) * 2.0 ** -rng.integers(7, 54, rows)
    tiny = rng.choice([-1, 1], rows) * 10.0 ** -rng.uniform(1, 320, rows)
    return np.where(at == 0, np.where(rng.random(rows) < 0.5, off, tiny), at * (1 + off))


@pytest.mark.parametrize(
    "name", [name for name, order in CHAINS.items() if len(order) == 1 and is_real(technique(name).parameters[0].name)]
)
def test_no_disagreement_just_beside_the_edges(name, monkeypatch):
    monkeypatch.setattr(parameters, "edge", beside_edge)
    for strategy in STRATEGIES:
        monkeypatch.setitem(STRATEGIES, strategy, 0.9 if strategy == "edge" else 0.1 / (len(STRATEGIES) - 1))
    assert_agrees(name)


def assert_agrees(name):
    findings, pairs = [], []

    def listen(event):
        if isinstance(event, FindingFound):
            findings.append((event.finding.violation.check, event.finding.violation.title))
        if isinstance(event, TargetFinished):
            pairs.append(event.pairs)

    target = builtin_target(name)
    cases = 1500 if len(target.spec.order) < 4 else 800  # a long chain compiles longer for every shape
    status = run([target], checks=select_checks([], []), seed=3, limits=Limits(seconds=120, cases=cases), fail_on="low", listener=listen)
    assert findings == []
    assert status == CLEAN
    assert pairs[0] >= cases


@pytest.mark.parametrize("name", [name for name in CHAINS if builtin_target(name).spec.stateful])
def test_each_step_follows_from_those_before(name):
    target = builtin_target(name)
    spec = target.spec
    generator = Generator(parameters=spec.parameters, inputs=spec.inputs, per_row=spec.per_row)
    rng = np.random.default_rng(5)
    cases = [scenario(generator, rng) for _ in range(12)]
    for claim in ("step_follows_from_the_steps_before", "reset_begins_afresh", "clone_goes_on_as_the_original_would"):
        check = load_all()[claim]
        assert check.applies(spec)
        assert [list(check.examine(target, case)) for case in cases] == [[]] * len(cases)
    assert sum(target.run(case).kind == "value" for case in cases) > len(cases) / 2
