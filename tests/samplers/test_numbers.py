"""The arithmetic under the samplers, against Python's integers and fractions."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from samplerfuzz import samplers
from samplerfuzz.samplers.keys import sortable, value
from samplerfuzz.samplers.mass import row_sum, total, weights
from samplerfuzz.samplers.wide import Wide, add, fraction, share, subtract

U64 = st.integers(0, 2**64 - 1)


def wide(n):
    return Wide(jnp.uint32(n >> 32), jnp.uint32(n & 0xFFFFFFFF))


def number(w):
    return int(w.high) << 32 | int(w.low)


@settings(max_examples=25, derandomize=True)
@given(a=U64, b=U64)
def test_pairs_calculate_as_integers_do(a, b):
    assert number(share(wide(a), wide(b))) == a * b >> 64
    assert number(add(wide(a), wide(b))) == (a + b) % 2**64
    assert number(subtract(wide(a), wide(b))) == (a - b) % 2**64


@settings(max_examples=25, derandomize=True)
@given(x=st.floats(0, 1, exclude_max=True, width=32, allow_subnormal=False))
def test_a_fraction_is_cut_to_64_bits(x):
    assert number(fraction(jnp.float32(x))) == math.floor(x * 2**64)


@settings(max_examples=50, derandomize=True)
@given(a=st.floats(width=32, allow_nan=False), b=st.floats(width=32, allow_nan=False))
def test_keys_sort_as_the_floats_they_stand_for(a, b):
    keys = sortable(jnp.array([a, b], jnp.float32))
    assert (int(keys[0]) < int(keys[1])) == (a < b)
    assert float(value(keys)[0]).hex() == (a + 0.0).hex()


def test_a_sum_over_a_large_vocabulary_keeps_its_digits():
    rng = np.random.default_rng(0)
    x = np.exp(rng.normal(size=(2, 262144)) * 4 - 18).astype(np.float32)
    x[1, 7] = 1e6
    np.testing.assert_allclose(np.asarray(row_sum(jnp.asarray(x))), x.astype(np.float64).sum(-1), rtol=3e-7)


def test_a_sum_does_not_depend_on_the_order():
    x = np.exp(np.random.default_rng(1).normal(size=(1, 5000)) * 5).astype(np.float32)
    x /= x.max()
    assert number(Wide(*(part[0] for part in total(weights(jnp.asarray(x)))))) == number(
        Wide(*(part[0] for part in total(weights(jnp.asarray(np.sort(x))))))
    )


def test_top_p_cuts_a_large_vocabulary_where_exact_sums_do():
    """Float32 running sums have moved this threshold by 3e-6 and more."""
    rng = np.random.default_rng(2)
    z = (rng.normal(size=(1, 262144)) * 2).astype(np.float32)
    p = np.exp(z[0].astype(np.float64) - z.max())
    p /= p.sum()
    for wanted in (0.1, 0.5, 0.9, 0.999):
        kept = np.asarray(samplers.top_p(wanted)(z)[0])[0] > -np.inf
        assert p[kept].sum() >= wanted - 1e-7
        assert p[kept].sum() - p[kept].min() < wanted + 1e-7


def test_classes_of_stages_have_structures_of_their_own():
    stages = [
        samplers.temperature(1.0),
        samplers.top_k(1),
        samplers.top_p(1.0),
        samplers.min_p(1.0),
        samplers.typical_p(1.0),
        samplers.top_n_sigma(1.0),
    ]
    for a, b in itertools.combinations(map(jax.tree.structure, stages), 2):
        assert a != b
