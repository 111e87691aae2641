"""When a token of a row in a batch is another than alone."""

import numpy as np

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
