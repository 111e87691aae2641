import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kurtosis, skew

from samplerfuzz.core.errors import UsageError
from samplerfuzz.safety.moments import Moments

numbers = st.lists(st.floats(-1e6, 1e6), max_size=30)


@given(st.lists(numbers, min_size=1, max_size=6))
def test_parts_in_any_cut_give_the_moments_of_the_whole(parts):
    whole = Moments.of(np.concatenate([np.zeros(0), *map(np.asarray, parts)]))
    merged = Moments()
    for part in parts:
        merged = merged.merge(Moments.of(part))
    assert (merged.count, merged.least, merged.most) == (whole.count, whole.least, whole.most)
    size = max(abs(x) for part in parts for x in [1e-3, *part])
    for power, name in ((1, "mean"), (2, "second"), (3, "third"), (4, "fourth")):
        assert getattr(merged, name) == pytest.approx(getattr(whole, name), rel=1e-9, abs=1e-9 * size**power * max(whole.count, 1))


def test_they_are_what_scipy_says():
    x = np.random.default_rng(1).gamma(2.0, size=1000)
    moments = Moments.of(x[:300]).merge(Moments.of(x[300:]))
    assert moments.mean == pytest.approx(x.mean())
    assert moments.variance == pytest.approx(x.var())
    assert moments.skewness == pytest.approx(skew(x))
    assert moments.excess_kurtosis == pytest.approx(kurtosis(x))


def test_a_large_constant_does_not_eat_the_digits():
    x = np.random.default_rng(2).normal(size=2000)
    moments = Moments.of(x[:1000] + 1e6).merge(Moments.of(x[1000:] + 1e6))
    assert moments.variance == pytest.approx(x.var(), rel=1e-9)


def test_what_is_not_finite_is_counted_and_left_out():
    moments = Moments.of([1.0, np.nan, 3.0]).merge(Moments.of([np.inf, -np.inf]))
    assert (moments.count, moments.mean, moments.left_out) == (2, 2.0, 3)


def test_what_nothing_or_equal_numbers_do_not_have_is_none():
    assert (Moments().variance, Moments().skewness) == (None, None)
    assert (Moments.of([2.0, 2.0]).skewness, Moments.of([2.0, 2.0]).excess_kurtosis, Moments.of([2.0, 2.0]).variance) == (None, None, 0.0)


@given(numbers)
def test_they_survive_json(given_numbers):
    moments = Moments.of(given_numbers)
    assert Moments.from_json(json.loads(json.dumps(moments.to_json(), allow_nan=False))) == moments


def test_what_are_no_moments_is_refused():
    with pytest.raises(UsageError, match="expected the numbers"):
        Moments.from_json({"count": 1})
