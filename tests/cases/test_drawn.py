"""The generator whose numbers Hypothesis draws: it speaks for numpy.random.Generator, and its plainest answers are plain."""

import ast
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import samplerfuzz.cases
from samplerfuzz.cases.drawn import DrawnGenerator
from samplerfuzz.cases.logits import REGIMES, rows_of


def plainest(make):
    """Return what `make(rng)` gives where Hypothesis draws the simplest of everything."""
    strategy = st.composite(lambda draw: make(DrawnGenerator(draw)))()
    return hypothesis.find(strategy, lambda value: True, settings=hypothesis.settings(database=None))


def test_every_method_that_the_room_of_cases_calls_is_there():
    called = set()
    for path in Path(samplerfuzz.cases.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "rng":
                called.add(node.attr)
    assert {name for name in called if not hasattr(DrawnGenerator, name)} == set()


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (lambda rng: rng.random() < 0.99, False),
        (lambda rng: rng.integers(3, 9), 3),
        (lambda rng: rng.integers(0, np.array([5, 1])).tolist(), [0, 0]),
        (lambda rng: rng.normal(size=(1, 2)).tolist(), [[0.0, 0.0]]),
        (lambda rng: rng.uniform(0.001, 1.0), 1.0),
        (lambda rng: rng.choice([0.3, -20.0, 1.0]), 1.0),
        (lambda rng: rng.choice(["normal", "flat"], p=[0.1, 0.9]), "normal"),
        (lambda rng: rng.permutation(3).tolist(), [0, 1, 2]),
        (lambda rng: rng.permuted(np.array([[4, 7], [9, 9]]), axis=-1).tolist(), [[4, 7], [9, 9]]),
    ],
)
def test_the_plainest_answers_are_plain(make, value):
    assert plainest(make) == value


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (2, 3)])
def test_sizes_are_those_of_numpy(shape):
    for name, arguments in {"random": (), "integers": (0, 4), "uniform": (0, 1), "normal": (), "choice": ([1.0, 2.0],)}.items():
        ours = plainest(lambda rng, name=name, arguments=arguments: np.asarray(getattr(rng, name)(*arguments, size=shape or None)))
        theirs = np.asarray(getattr(np.random.default_rng(0), name)(*arguments, size=shape or None))
        assert (ours.shape, ours.dtype.kind) == (theirs.shape, theirs.dtype.kind), name


@pytest.mark.parametrize("regime", REGIMES)
@hypothesis.settings(max_examples=20)
@given(data=st.data())
def test_every_regime_is_made_of_drawn_numbers(regime, data):
    z = rows_of(regime, data.draw(st.composite(lambda draw: DrawnGenerator(draw))()), 2, 5)
    assert (z.shape, z.dtype) == ((2, 5), np.float32)
    assert not np.isnan(z).any()
    assert (z > -np.inf).any(-1).all()
