"""Options of stages: ties, crossings, sigma, joint filters, each against a table or against all orders that a tie allows."""

import itertools
from fractions import Fraction

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplerfuzz import samplers
from samplerfuzz.core.errors import ParameterError

INF = np.inf
EQUAL = [0.0] * 4


def kept(stage, row):
    return np.flatnonzero(np.asarray(stage(np.array(row, np.float32))[0]) > -INF).tolist()


@pytest.mark.parametrize(
    ("stage", "row", "expected"),
    [
        (samplers.top_k(2, ties="low"), [1, 1, 1, 0], [0, 1]),
        (samplers.top_k(2, ties="high"), [1, 1, 1, 0], [1, 2]),
        (samplers.top_k(2, ties="low"), [0, 1, 2, 1], [1, 2]),
        (samplers.top_k(2, ties="high"), [0, 1, 2, 1], [2, 3]),
        (samplers.top_k(0, ties="low"), [1, 1], [0, 1]),
        (samplers.top_k(3, ties="low"), [1, -INF, 1, -INF], [0, 2]),
        (samplers.top_p(0.5, ties="low"), EQUAL, [0, 1]),
        (samplers.top_p(0.5, ties="high"), EQUAL, [2, 3]),
        (samplers.top_p(0.5, crossing="exceeded", ties="low"), EQUAL, [0, 1, 2]),
        (samplers.top_p(0.5, crossing="exceeded"), [0, 0, -INF, -INF], [0, 1]),
        (samplers.top_p(0.25, ties="low"), EQUAL, [0]),
        (samplers.top_p(0.0, ties="low"), EQUAL, [0]),
        (samplers.top_p(0.0, crossing="exceeded", ties="high"), EQUAL, [3]),
        (samplers.top_p(1.0, ties="low"), EQUAL, [0, 1, 2, 3]),
        (samplers.typical_p(0.5, ties="low"), EQUAL, [0, 1]),
        (samplers.typical_p(0.5, crossing="exceeded", ties="high"), EQUAL, [1, 2, 3]),
        (samplers.xtc(0.25), EQUAL, [0, 1, 2, 3]),
        (samplers.xtc(0.25, ties="low"), EQUAL, [0]),
        (samplers.xtc(0.25, ties="high"), EQUAL, [3]),
        (samplers.xtc(0.25, choice="above", ties="low"), EQUAL, [0, 1, 2, 3]),
        (samplers.top_n_sigma(1.1), [1, -1, -INF], [0]),  # population 1, with Bessel's correction √2
        (samplers.top_n_sigma(1.5, sigma="bessel"), [1, -1, -INF], [0, 1]),
        (samplers.top_n_sigma(1.1, sigma="bessel"), [1, -INF, -INF], [0]),
        (samplers.joint(samplers.top_k(1), samplers.top_p(1.0)), [0, 1, 2], [2]),
        (samplers.joint(), [0, 1, 2], [0, 1, 2]),
        (samplers.joint(samplers.xtc(0.1), samplers.top_k(1)), [0, 0.1, 0.2], [0]),  # they exclude each other: the first decides
    ],
)
def test_options_decide_what_the_definition_leaves_open(stage, row, expected):
    assert kept(stage, row) == expected


@given(st.lists(st.sampled_from([0.0, -INF]), min_size=1, max_size=12).filter(lambda row: 0.0 in row), st.integers(1, 127))
@settings(max_examples=60, deadline=None)
def test_cuts_among_equals_are_exact(row, mass):
    """n equal tokens have 1/n each: fractions say how many it takes, and order says which."""
    row = row + [-INF] * (12 - len(row))
    ids = [i for i, z in enumerate(row) if z == 0.0]
    p = mass / 128
    share = Fraction(1, len(ids))
    reached = next(n for n in itertools.count(1) if n * share >= Fraction(mass, 128))
    exceeded = next(n for n in itertools.count(1) if n * share > Fraction(mass, 128))
    # a share of 1/3 is cut to fixed point, so only dyadic shares are exact at the boundary itself
    dyadic = len(ids) & (len(ids) - 1) == 0
    if reached == exceeded or dyadic:
        assert kept(samplers.top_p(p, ties="low"), row) == ids[:reached]
        assert kept(samplers.top_p(p, ties="high"), row) == ids[-reached:]
        assert kept(samplers.top_p(p, crossing="exceeded", ties="low"), row) == ids[:exceeded]
        assert kept(samplers.typical_p(p, crossing="exceeded", ties="high"), row) == ids[-exceeded:]


@given(st.lists(st.integers(-3, 3), min_size=6, max_size=6), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_top_k_with_a_tie_rule_is_a_stable_sort(row, k):
    low = sorted(sorted(range(6), key=lambda i: (-row[i], i))[:k])
    high = sorted(sorted(range(6), key=lambda i: (-row[i], -i))[:k])
    assert kept(samplers.top_k(k, ties="low"), row) == low
    assert kept(samplers.top_k(k, ties="high"), row) == high


def test_an_option_is_part_of_the_program_and_no_leaf():
    one, other = samplers.top_k(2, ties="low"), samplers.top_k(2)
    assert jax.tree.structure(one) != jax.tree.structure(other)
    assert jax.tree.leaves(one) == jax.tree.leaves(other)
    again = jax.tree.map(lambda leaf: leaf, one)
    assert again.ties == "low"


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: samplers.top_k(2, ties="first"),
        lambda: samplers.top_p(0.5, crossing="above"),
        lambda: samplers.top_n_sigma(1.0, sigma="sample"),
        lambda: samplers.xtc(0.1, choice="over"),
        lambda: samplers.joint(samplers.temperature(1.0)),
    ],
)
def test_an_unknown_option_is_refused_in_words(misuse):
    with pytest.raises(ParameterError, match="expected"):
        misuse()
