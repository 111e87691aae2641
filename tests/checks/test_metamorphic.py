"""When two answers that should agree are told apart."""

import ml_dtypes
import numpy as np
import pytest

import samplerfuzz as sf
from samplerfuzz.cases import Case
from samplerfuzz.checks.registry import load_all
from samplerfuzz.targets.plain import PlainTarget


def in_bfloat16(logits, temperature):
    """Round, then subtract: how far apart two logits are depends on where they lie."""
    z = logits.astype(ml_dtypes.bfloat16)
    gap = ((z - z.max(-1, keepdims=True)) / ml_dtypes.bfloat16(temperature)).astype(np.float32)
    weight = np.exp(gap)
    return weight / weight.sum(-1, keepdims=True)


def that_drops_low_logits(logits, temperature):
    weight = np.exp((logits - logits.max(-1, keepdims=True)) / temperature) * (logits > -19)
    return weight / weight.sum(-1, keepdims=True)


@pytest.mark.parametrize(
    ("function", "logits", "temperature", "told"),
    [
        # 125 below the best at first, and 62.5 when moved: nothing in single precision, and e^-62.5
        (in_bfloat16, [-19.527221, -19.589369], 0.001, False),
        (in_bfloat16, [-19.527221, -19.589369], 1.0, False),
        (that_drops_low_logits, [-18.5, -19.5], 1.0, True),
    ],
)
def test_a_shift_that_moves_a_vanishing_probability_is_no_finding(function, logits, temperature, told):
    sampler = sf.target(order=["temperature"], returns="probs", dtype="bfloat16")(function)
    case = Case(logits=np.array([logits], np.float32), parameters={"temperature": np.array([temperature])})
    check = load_all()["shifting_the_logits_changes_nothing"]
    assert bool(list(check.examine(PlainTarget(sampler, locator="sampler"), case))) == told
