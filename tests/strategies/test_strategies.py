"""The strategies for users' own tests: what they give, what they refuse, and what a bug shrinks to."""

import random

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

import samplerfuzz as sf
from samplerfuzz.cases.generator import STRATEGIES
from samplerfuzz.core.errors import UsageError
from samplerfuzz.core.registry import TECHNIQUES, parameter
from samplerfuzz.strategies import assert_conforms, cases, histories, logits, parameters

few = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])


def softmax(z):
    p = np.exp(z - z.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def refuse(logits, ok):
    if not ok or not (logits < np.inf).all() or (logits == -np.inf).all(-1).any():
        raise ValueError("parameters or logits")


@sf.target(order=["temperature", "top_p"], returns="probs")
def loses_the_crossing_token(logits, temperature, top_p):
    refuse(logits, np.isfinite(temperature) and temperature > 0 and 0 < top_p <= 1)
    p = softmax(logits.astype(np.float64) / temperature)
    order = np.argsort(-p, -1)
    q = np.take_along_axis(p, order, -1)
    kept = np.where(np.cumsum(q, -1) <= top_p, q, 0)
    kept[:, 0] = q[:, 0]
    np.put_along_axis(p, order, kept, -1)
    return p / p.sum(-1, keepdims=True)


@sf.target(returns="logits")
def keeps_one_too_many(logits, top_k):
    refuse(logits, top_k >= 1)
    threshold = -np.sort(-logits, -1)[:, min(top_k, logits.shape[1] - 1)]
    return np.where(logits >= threshold[:, None], logits, -np.inf)


@sf.target(returns="probs", per_row=True)
def takes_the_temperature_of_another_row(logits, temperature):
    refuse(logits, np.isfinite(temperature).all() and (temperature > 0).all())
    z = logits.astype(np.float64)
    return softmax((z - z.max(-1, keepdims=True)) / temperature[::-1, None])


@sf.target(returns="logits", per_row=True)
def penalises_ids_of_the_first_row(logits, presence_penalty, history):
    refuse(logits, np.isfinite(presence_penalty).all() and all(((ids >= 0) & (ids < logits.shape[1])).all() for ids in history))
    z = logits.copy()
    for row in range(len(z)):
        z[row, np.unique(history[0])] -= np.float32(presence_penalty[row])
    return z


@pytest.mark.parametrize(
    ("function", "rows", "tokens"),
    [
        (loses_the_crossing_token, 1, 4),
        (keeps_one_too_many, 1, 2),
        (takes_the_temperature_of_another_row, 2, 2),
        (penalises_ids_of_the_first_row, 2, 3),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_bug_shrinks_to_few_rows_few_tokens_and_round_numbers(function, rows, tokens):
    def is_broken(case):
        try:
            assert_conforms(function, case)
        except AssertionError:
            return True
        return False

    # what Hypothesis tries depends on the modules that are loaded, so one search may end beside the smallest case
    for seed in range(3):
        small = find(
            cases(function, rows=(1, 2), vocabulary=(1, 5), ways=["ordinary"]),
            is_broken,
            settings=settings(max_examples=1000, database=None, suppress_health_check=list(HealthCheck)),
            random=random.Random(seed),
        )
        if small.vocabulary <= tokens:
            break
    assert small.rows <= rows, small
    assert small.vocabulary <= tokens, small
    numbers = [*small.logits.ravel().tolist(), *(x for values in small.parameters.values() for x in np.ravel(values).tolist())]
    assert all(len(f"{x:g}") <= 4 for x in numbers), small
    assert sum(len(ids) for ids in small.history or ()) <= 1


@few
@given(z=logits(rows=(2, 3), vocabulary=(4, 5)))
def test_logits_are_float32_rows_of_which_something_is_left(z):
    assert z.dtype == np.float32
    assert 2 <= z.shape[0] <= 3
    assert 4 <= z.shape[1] <= 5
    assert (z > -np.inf).any(-1).all()


@pytest.mark.parametrize("stage", TECHNIQUES)
@settings(max_examples=10)
@given(data=st.data())
def test_parameters_are_what_a_function_without_per_row_is_given(stage, data):
    given_ = data.draw(parameters(order=[stage], vocabulary=6))
    for name, value in given_.items():
        kind, (low, high) = parameter(name).kind, parameter(name).common
        assert isinstance(value, {"real": float, "integer": int, "switch": int, "bias": dict, "ids": list}[kind])
        if parameter(name).is_number:
            off = parameter(name).switched_off(6)
            greedy = name == "temperature" and value == 0
            assert greedy or min(low, off) <= value <= max(min(high, 6), off)


def test_a_single_parameter_is_named_by_itself():
    names = find(parameters(order=["xtc", "min_tokens_to_keep"]), lambda value: True, settings=settings(database=None))
    assert list(names) == ["xtc_threshold", "xtc_probability", "min_tokens_to_keep"]


def test_edges_come_where_they_are_asked_for():
    many = settings(max_examples=5000, database=None)
    nan = find(parameters(order=["top_p"], edges=True), lambda value: np.isnan(value["top_p"]), settings=many)
    assert list(nan) == ["top_p"]


@few
@given(ids=histories(rows=(1, 4), vocabulary=5))
def test_histories_hold_ids_of_the_vocabulary(ids):
    assert 1 <= len(ids) <= 4
    assert all(row.dtype.kind == "i" and ((row >= 0) & (row < 5)).all() for row in ids)


def test_histories_hold_foreign_ids_where_they_are_asked_for():
    def is_foreign(rows):
        return any((row < 0).any() or (row >= 5).any() for row in rows)

    assert find(
        histories(vocabulary=5, foreign=True),
        is_foreign,
        settings=settings(database=None, max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck)),
    )


@pytest.mark.parametrize("way", STRATEGIES)
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_cases_hold_what_the_function_takes(way, data):
    case = data.draw(cases(penalises_ids_of_the_first_row, rows=(2, 2), vocabulary=(3, 4), ways=[way]))
    assert list(case.parameters) == ["presence_penalty"]
    assert len(case.history) == case.rows == len(case.parameters["presence_penalty"]) == 2


def test_an_assertion_is_a_finding_in_words():
    case = find(cases(keeps_one_too_many, ways=["ordinary"]), lambda case: case.vocabulary > 2, settings=settings(database=None))
    wrong = case.with_(logits=np.array([[3, 2, 1]], np.float32), parameters={"top_k": np.array([1.0])})
    with pytest.raises(AssertionError, match=r"HIGH  removed_token_has_no_probability(.|\n)*expected +keep \{0\}; remove \{1, 2\}"):
        assert_conforms(keeps_one_too_many, wrong)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: logits(rows=(2, 1)), "rows=.*least, largest"),
        (lambda: logits(vocabulary=(0, 1)), "vocabulary="),
        (lambda: logits(regimes=["spiky"]), "expected some of tied"),
        (lambda: logits(regimes=[]), "expected some of"),
        (lambda: parameters(order=["topk"]), "did you mean 'top_k'"),
        (lambda: cases(keeps_one_too_many, ways=["odd"]), "expected some of ordinary"),
        (lambda: cases(lambda logits, wizardry: logits), "wizardry"),
    ],
)
def test_what_cannot_be_meant_is_explained(ask, words):
    with pytest.raises(UsageError, match=words):
        ask()


def test_the_attribute_is_loaded_when_it_is_used():
    assert sf.strategies.cases is cases
    assert hypothesis.is_hypothesis_test(test_histories_hold_ids_of_the_vocabulary)
