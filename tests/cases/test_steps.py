"""Cases of several steps: exact in JSON, a step is a case, shrinking keeps what it means."""

from dataclasses import replace

import numpy as np
import pytest

from samplerfuzz.cases import Case, Generator
from samplerfuzz.cases.steps import STEADY, Steps, led, scenario, steady, step_of, taken_from
from samplerfuzz.engine.shrink import shrink

PARAMETERS = ("repetition_penalty", "penalty_last_n", "temperature", "mirostat_tau", "mirostat_eta", "mirostat")
ORDER = ("repetition_penalty", "temperature", "mirostat")


def scenarios(count, inputs=("history", "seed", "u"), per_row=False):
    generator = Generator(parameters=PARAMETERS, inputs=frozenset(inputs), per_row=per_row)
    rng = np.random.default_rng(0)
    return [scenario(generator, rng) for _ in range(count)]


@pytest.mark.parametrize("per_row", [False, True])
def test_json_keeps_every_bit_of_every_step(per_row):
    for case in scenarios(30, per_row=per_row):
        again = Case.from_json(case.to_json())
        assert again.digest() == case.digest()
        assert again.steps.logits.tobytes() == case.steps.logits.tobytes()
        assert again.steps.u.tobytes() == case.steps.u.tobytes()


def test_a_stream_of_one_step_survives_json():
    steps = Steps(logits=np.zeros((0, 2, 3), np.float32), choices=np.array([[0.1, 0.2]]), u=np.zeros((0, 2)))
    case = Case(logits=np.zeros((2, 3), np.float32), u=np.array([0.1, 0.2]), steps=steps)
    again = Case.from_json(case.to_json())
    assert (again.steps.count, again.steps.logits.shape, again.steps.u.shape) == (1, (0, 2, 3), (0, 2))
    assert again.digest() == case.digest()


def test_a_case_of_an_older_file_has_one_step():
    case = scenarios(1)[0].with_(steps=None)
    old = {name: value for name, value in case.to_json().items() if name != "steps"}
    assert Case.from_json(old).digest() == case.digest()


def test_the_digest_knows_all_that_a_stateful_target_is_given():
    case = scenarios(1)[0]
    steps = case.steps
    changed = [replace(steps, replay=replay) for replay in ("reset", "clone")]
    changed += [replace(steps, choices=1 - steps.choices), replace(steps, u=1 - steps.u), replace(steps, logits=-steps.logits)]
    changed += [steps.cut(steps.count - 1), None]
    digests = {case.with_(steps=other).digest() for other in (steps, *changed)}
    assert len(digests) == 1 + len(changed)


def test_a_scenario_throws_what_a_state_can_be_wrong_about():
    cases = scenarios(60)
    assert {case.steps.count for case in cases} >= set(range(2, 13))
    assert all(case.rows >= 2 for case in cases)
    assert all(case.prompt_length.tolist() == [len(ids) for ids in case.history] for case in cases)
    assert any(np.array_equal(case.logits, case.steps.logits[0]) for case in cases)
    assert any(not np.array_equal(case.logits, case.steps.logits[0]) for case in cases)


def test_a_step_has_the_tokens_before_it_in_its_history():
    case = Case(
        logits=np.zeros((2, 3), np.float32),
        history=(np.array([1]), np.array([], np.int64)),
        prompt_length=np.array([1, 0]),
        u=np.array([0.1, 0.2]),
        steps=Steps(
            logits=np.arange(12, dtype=np.float32).reshape(2, 2, 3), choices=np.zeros((3, 2)), u=np.array([[0.3, 0.4], [0.5, 0.6]])
        ),
    )
    tokens = [np.array([2, 0]), np.array([1, 1])]
    at = step_of(case, 2, tokens)
    assert [ids.tolist() for ids in at.history] == [[1, 2, 1], [0, 1]]
    assert (at.prompt_length.tolist(), at.u.tolist(), at.logits.tolist()) == ([1, 0], [0.5, 0.6], [[6, 7, 8], [9, 10, 11]])
    assert (at.steps, step_of(case, 0, []).logits.tolist()) == (None, [[0, 0, 0]] * 2)


def test_rows_are_taken_with_their_steps():
    case = scenarios(1)[0]
    last = case.take([case.rows - 1])
    assert last.steps.logits.shape == (case.steps.count - 1, 1, case.vocabulary)
    assert last.steps.u[:, 0].tolist() == case.steps.u[:, -1].tolist()
    assert last.steps.choices[:, 0].tolist() == case.steps.choices[:, -1].tolist()


def test_the_token_taken_has_probability():
    p = np.array([[0, 0.5, 0, 0.5, 0]] * 4 + [[np.nan, 0, 0, 0, 1], [0, 0, 0, 0, 0]])
    assert taken_from(p, np.array([0.0, 0.5, 0.4999, 1 - 2.0**-53, 0, 0])).tolist() == [1, 3, 1, 3, -1, -1]


def test_steady_steps_depend_on_nothing_before():
    for case in scenarios(10):
        row = steady(case, ORDER)
        assert (row.rows, row.steps.count) == (1, STEADY)
        assert (row.steps.logits == row.logits).all()
        assert row.parameters["repetition_penalty"][0] == 1
        assert row.parameters["mirostat_tau"][0] == 100
        assert row.parameters["temperature"][0] == case.parameters["temperature"][0]


def test_a_stream_is_probably_led_along_its_path():
    for case in scenarios(10, inputs=("seed",)):
        row, path = led(case)
        assert len(path) == row.steps.count - 1
        for z, token in zip([row.logits, *row.steps.logits], path, strict=False):
            p = np.exp(z[0].astype(np.float64)) / np.exp(z[0].astype(np.float64)).sum()
            assert 0.29 < p[token] <= 1


def test_shrinking_leaves_the_steps_that_matter():
    case = scenarios(40)[7]
    later = np.zeros((9, 3, 4), np.float32)
    later[6, 1, 2] = 5.3
    case = Case(logits=np.zeros((3, 4), np.float32), steps=Steps(logits=later, choices=np.full((10, 3), 0.123456)))
    small = shrink(case, lambda c: bool((c.steps.logits > 5).any()))
    assert (small.rows, small.vocabulary, small.steps.count) == (1, 1, 2)
    assert small.steps.choices.shape == (2, 1)
