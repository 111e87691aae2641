"""Cases survive JSON with every bit, and shrink without losing their meaning."""

import numpy as np

from samplerfuzz.cases import Case, Generator
from samplerfuzz.cases.uniforms import steps
from samplerfuzz.core.registry import parameter, parameter_owners
from samplerfuzz.engine.shrink import shrink


def test_json_keeps_every_bit():
    rng = np.random.default_rng(0)
    generator = Generator(parameters=tuple(parameter_owners()), inputs=frozenset({"history", "seed", "u"}), per_row=True)
    for _ in range(100):
        case = generator.case(rng, rows=3, size=7)
        again = Case.from_json(case.to_json())
        assert (
            again.logits.tobytes() == np.where(np.isnan(case.logits), np.float32("nan"), case.logits).tobytes()
            or np.isnan(case.logits).any()
        )
        for name, value in case.parameters.items():
            if not parameter(name).is_number:
                assert again.parameters[name] == value
            else:
                np.testing.assert_array_equal(again.parameters[name], value)
        np.testing.assert_array_equal(again.u, case.u)


def test_shrinking_finds_the_smallest_case():
    case = Case(logits=np.random.default_rng(0).normal(size=(8, 20)).astype(np.float32), parameters={"top_k": np.full(8, 7.0)})
    small = shrink(case, lambda c: bool((c.logits > 0).any()))
    assert small.logits.shape == (1, 1)
    assert small.logits[0, 0] in (1.0, 2.0, 0.5)


def test_lists_of_ids_follow_their_tokens_through_shrinking():
    ids = {"forbidden_tokens": [[4, 2, 9, 2]], "allowed_tokens": [[0, 1, 2, 3, 4, 5]], "logit_bias": [{4: 1.0, 9: 2.0, 0: 3.0}]}
    case = Case(logits=np.array([[0, 0, 0, 0, 9, 0]], np.float32), parameters=ids)
    small = shrink(
        case,
        lambda c: any(
            c.logits[0, i] > 1 and i in c.parameters["logit_bias"][0] for i in c.parameters["forbidden_tokens"][0] if i < c.vocabulary
        ),
    )
    assert small.vocabulary == 1
    assert small.parameters["forbidden_tokens"] == [[0]]
    assert small.parameters["allowed_tokens"] == [[]]
    assert next(iter(small.parameters["logit_bias"][0])) == 0


def test_ids_outside_the_vocabulary_stay_outside_when_it_shrinks():
    case = Case(logits=np.zeros((1, 8), np.float32), parameters={"forbidden_tokens": [[9, -1, 3]]})
    small = shrink(case, lambda c: sum(not 0 <= i < c.vocabulary for i in c.parameters["forbidden_tokens"][0]) == 2)
    assert small.vocabulary == 1
    assert [0 <= i < 1 for i in small.parameters["forbidden_tokens"][0]] == [False, False]


def test_history_follows_its_tokens_through_shrinking():
    case = Case(
        logits=np.zeros((1, 6), np.float32), parameters={"repetition_penalty": np.array([2.0])}, history=(np.array([5, 2, 5]),)
    ).with_(logits=np.array([[0, 0, 0, 0, 0, 9]], np.float32))
    small = shrink(case, lambda c: any(c.logits[0, i] > 1 for i in c.history[0] if i < c.vocabulary))
    assert small.vocabulary == 1
    assert small.history[0].tolist() == [0]


def test_uniforms_are_placed_at_the_steps_of_the_law_and_one_ulp_beside():
    u = steps(np.array([0.3, 0.0, 0.7]))
    for edge in (0.3, 0.7):
        assert {edge, np.nextafter(edge, 0), np.nextafter(edge, 1), float(np.nextafter(np.float32(edge), np.float32(1)))} <= set(u)
    assert {0.0, 1 - 2.0**-24, 1 - 2.0**-53} <= set(u)
    assert ((u >= 0) & (u < 1)).all()


def test_the_generator_throws_them():
    law = np.array([0.25, 0.75])
    generator = Generator(parameters=("temperature",), inputs=frozenset({"u"}), per_row=False, law=lambda case: law)
    rng = np.random.default_rng(0)
    thrown = [generator.case(rng, rows=4, size=2, strategy="ordinary") for _ in range(40)]
    at_steps = [case for case in thrown if case.strategy == "uniform steps"]
    assert at_steps
    assert all((case.logits == case.logits[0]).all() and len(case.u) == case.rows for case in at_steps)
    assert any(0.25 in case.u for case in at_steps)
