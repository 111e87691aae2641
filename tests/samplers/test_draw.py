"""Draws: the mask, the far tail, the sentinel."""

import jax
import jax.numpy as jnp

from samplerfuzz import samplers


def test_a_masked_token_is_never_drawn():
    row = jnp.array([[-jnp.inf, 0.0, -jnp.inf, -80.0]])
    for seed in range(200):
        assert int(samplers.draw(jax.random.key(seed), row)[0][0]) in (1, 3)


def test_nothing_to_draw_from_is_minus_one():
    rows = jnp.array([[-jnp.inf, -jnp.inf], [jnp.nan, 0.0], [0.0, -jnp.inf]])
    assert samplers.draw(jax.random.key(0), rows)[0].tolist() == [-1, -1, 0]
