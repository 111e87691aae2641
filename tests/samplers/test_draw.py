"""Draws: the mask, the far tail, the sentinel."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import poisson

from samplerfuzz import samplers


def test_a_masked_token_is_never_drawn():
    row = jnp.array([[-jnp.inf, 0.0, -jnp.inf, -80.0]])
    for seed in range(200):
        assert int(samplers.draw(jax.random.key(seed), row)[0][0]) in (1, 3)


def test_nothing_to_draw_from_is_minus_one():
    rows = jnp.array([[-jnp.inf, -jnp.inf], [jnp.nan, 0.0], [0.0, -jnp.inf]])
    assert samplers.draw(jax.random.key(0), rows)[0].tolist() == [-1, -1, 0]


def test_the_tail_beyond_the_reach_of_23_bits_is_drawn_as_often_as_it_should():
    """2^16 tokens 20 nats below the peak hold a mass of 1.35e-4 together, each 2e-9: coarse noise ends near 16."""
    size, rows, calls = 2**16, 64, 60
    row = jnp.concatenate([jnp.zeros(1), jnp.full(size, -20.0)])
    many = jnp.broadcast_to(row, (rows, size + 1))
    hits = sum(int((samplers.draw(jax.random.key(seed), many)[0] > 0).sum()) for seed in range(calls))
    mass = size * np.exp(-20.0)
    expected = rows * calls * mass / (1 + mass)
    assert poisson.sf(hits - 1, expected) > 1e-7
    assert poisson.cdf(hits, expected) > 1e-7
