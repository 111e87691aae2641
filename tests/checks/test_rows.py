"""When a token of a row in a batch is another than alone."""

import numpy as np
import pytest

import samplerfuzz as sf
from samplerfuzz.cases import Case
from samplerfuzz.checks.registry import load_all
from samplerfuzz.targets.plain import PlainTarget


def examined(row, in_a_batch):
    """Return what is said of a sampler that takes the arg-max of a row alone, and of `in_a_batch` of its rows otherwise."""

    @sf.target(order=["temperature"], returns="tokens", per_row=True)
    def greedy(logits, temperature, seed):
        return (logits if len(logits) == 1 else in_a_batch(logits)).argmax(-1)

    logits = np.array([row, [0.0, 1.0]], np.float32)
    case = Case(logits=logits, parameters={"temperature": np.zeros(2)}, seeds=np.array([0, 1]))
    return load_all()["row_alone_equals_row_in_batch"].examine(PlainTarget(greedy, locator="greedy"), case)


def probabilities(logits):
    weight = np.exp(logits - logits.max(-1, keepdims=True))
    return weight / weight.sum(-1, keepdims=True)


def test_a_tie_may_be_broken_otherwise_in_a_batch():
    assert not examined([0.0, 1e-38], probabilities)
    assert not examined([2.0, 2.0], lambda logits: np.array([[0.0, 1.0], [0.0, 1.0]]))


def test_another_token_in_a_batch_is_told():
    assert examined([0.0, 1.0], lambda logits: -logits)


@pytest.mark.parametrize(("far", "told"), [(4.0, True), (9.0, False)])
def test_a_probability_that_may_be_flushed_to_zero_may_be_so_in_a_batch_only(far, told):
    @sf.target(order=["temperature"], returns="probs", per_row=True, dtype="float16")
    def flushed(logits, temperature):
        answer = probabilities(logits.astype(np.float64))
        return answer if len(logits) == 1 else np.where(answer < 0.02, 0, answer)

    # half precision has no normal number below 6e-5: e^-9 may be flushed, e^-4 not
    case = Case(logits=np.array([[0.0, -far], [0.0, 1.0]], np.float32), parameters={"temperature": np.ones(2)})
    check = load_all()["row_alone_equals_row_in_batch"]
    assert bool(list(check.examine(PlainTarget(flushed, locator="flushed"), case))) == told
