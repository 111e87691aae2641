"""Which rows have a definite answer."""

import numpy as np
import pytest

from samplerfuzz.cases import Case
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.checks.registry import load_all
from samplerfuzz.targets.builtin import builtin_target
from samplerfuzz.targets.target import Outcome


@pytest.mark.parametrize(
    ("stage", "name", "value", "is_clean"),
    [
        ("smoothing", "smoothing_factor", 6e-74, False),
        ("smoothing", "smoothing_factor", 1e-3, True),
        ("smoothing", "smoothing_factor", 0.0, True),
        ("temperature", "temperature", 1e-40, True),
    ],
)
def test_a_number_that_single_precision_takes_for_off_is_not_judged(stage, name, value, is_clean):
    spec = builtin_target(stage).spec
    given = {p: np.array([value if p == name else 1.0]) for p in spec.parameters}
    judgement = Judgement(spec, Case(logits=np.array([[0.0, 1.0]], np.float32), parameters=given), Outcome(kind="raised"))
    assert bool(judgement.clean[0]) is is_clean


@pytest.mark.parametrize(("value", "is_judged"), [(0.005, False), (0.02, True), (1.0, True), (0.0, True)])
def test_what_an_engine_replaces_before_it_samples_is_not_judged(value, is_judged):
    from dataclasses import replace

    spec = replace(builtin_target("temperature").spec, dialect="vllm")
    case = Case(logits=np.array([[0.0, 1.0]], np.float32), parameters={"temperature": np.array([value])})
    judgement = Judgement(spec, case, Outcome(kind="raised"))
    assert bool(judgement.clean[0]) is is_judged


@pytest.mark.parametrize(("temperature", "answer", "is_told"), [(1e-45, -np.inf, False), (0.5, -np.inf, True), (2e-38, -np.inf, True)])
def test_a_row_divided_by_next_to_nothing_may_underflow_as_it_may_overflow(temperature, answer, is_told):
    # -20 / 1e-45 is -inf where 20 / 1e-45 is +inf: neither is a number that single precision has
    spec = builtin_target("temperature").spec
    case = Case(logits=np.array([[-20.0, -30.0]], np.float32), parameters={"temperature": np.array([temperature])})
    judgement = Judgement(spec, case, Outcome(kind="value", value=np.full((1, 2), answer, np.float32), form="logits"))
    check = load_all()["support_is_never_empty"]
    assert bool(list(check.judge(check, judgement))) is is_told


def test_probabilities_that_are_all_zero_are_told_at_any_temperature():
    spec = builtin_target("temperature").spec
    case = Case(logits=np.array([[-20.0, -30.0]], np.float32), parameters={"temperature": np.array([1e-45])})
    judgement = Judgement(spec, case, Outcome(kind="value", value=np.zeros((1, 2), np.float32), form="probs"))
    check = load_all()["support_is_never_empty"]
    assert list(check.judge(check, judgement))


@pytest.mark.parametrize(
    ("temperature", "is_told"), [(1e38, False), (6e-39, False), (np.inf, False), (1e30, True), (2e-38, True), (1.0, True)]
)
def test_a_token_drawn_where_single_precision_cannot_divide_is_any(temperature, is_told):
    from dataclasses import replace

    spec = replace(builtin_target("temperature").spec, returns="tokens")
    case = Case(logits=np.array([[-np.inf, 0.0]], np.float32), parameters={"temperature": np.array([temperature])})
    judgement = Judgement(spec, case, Outcome(kind="value", form="tokens", value=np.array([0])))
    check = load_all()["masked_token_is_never_emitted"]
    assert bool(list(check.judge(check, judgement))) is is_told
