"""What is believed when it is seen again, and what is not."""

import time

import numpy as np
import pytest

import samplerfuzz as sf
from samplerfuzz.cases import Case
from samplerfuzz.checks.registry import load_all
from samplerfuzz.engine.confirm import seen_again
from samplerfuzz.targets.plain import PlainTarget


def waiting(seconds_of):
    """Return a sampler whose calls take a time that their logits decide."""

    @sf.target(order=["temperature"], returns="logits")
    def sampler(logits, temperature):
        time.sleep(seconds_of(logits))
        return logits / temperature

    return PlainTarget(sampler, locator="sampler", time_limit=0.4)


def first_call_of_each_size():
    seen = set()

    def compiled(logits):
        new = logits.size not in seen
        seen.add(logits.size)
        return 0.5 if new else 0.0

    return compiled


@pytest.mark.parametrize(
    ("seconds_of", "size", "is_told"),
    [
        (lambda logits: 30.0 * np.isneginf(logits).any(), 2000, True),
        (lambda logits: logits.size / 4000, 2000, False),  # slow
        (lambda logits: logits.size / 16000, 2000, False),  # not so slow, and no hang either
        (lambda logits: 30.0, 8, True),
        (lambda logits: 30.0 * (logits.size > 1500), 2000, False),  # a hang or slow: nobody can say
    ],
)
def test_a_hang_is_told_where_ordinary_calls_of_the_same_shape_are_quick(seconds_of, size, is_told):
    case = Case(logits=np.where(np.arange(size) == 1, -np.inf, 0.0).astype(np.float32)[None], parameters={"temperature": np.ones(1)})
    assert bool(seen_again(load_all()["call_returns"], waiting(seconds_of), case)) is is_told


def test_a_shape_that_is_compiled_does_not_hang():
    target = waiting(first_call_of_each_size())
    case = Case(logits=np.zeros((1, 2000), np.float32), parameters={"temperature": np.ones(1)})
    assert not seen_again(load_all()["call_returns"], target, case)
