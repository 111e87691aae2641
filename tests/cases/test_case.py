"""Cases survive JSON with every bit, and shrink without losing their meaning."""

import numpy as np

from samplerfuzz.cases import Case, Generator
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


def test_history_follows_its_tokens_through_shrinking():
    case = Case(
        logits=np.zeros((1, 6), np.float32), parameters={"repetition_penalty": np.array([2.0])}, history=(np.array([5, 2, 5]),)
    ).with_(logits=np.array([[0, 0, 0, 0, 0, 9]], np.float32))
    small = shrink(case, lambda c: any(c.logits[0, i] > 1 for i in c.history[0] if i < c.vocabulary))
    assert small.vocabulary == 1
    assert small.history[0].tolist() == [0]
