"""The draw by inversion: every token owns exactly its share of the uniforms, however small, and nobody else's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from samplerfuzz import samplers

INF = np.inf


def test_rare_tokens_own_their_share_of_the_uniforms():
    """A hundred thousand tokens of 1e-9 around one of 0.9999: each stands where it should to within 1e-8 of mass, ten tokens."""
    size, head = 100_001, 50_000
    row = np.full(size, np.log(1e-9), np.float32)
    row[head] = np.log1p(-1e-4)
    p = np.exp(row.astype(np.float64))
    ids = np.array([1, 777, 30_000, head - 40, head, head + 40, 77_777, size - 20])
    u = (np.cumsum(p) - p / 2)[ids] / p.sum()
    got = np.asarray(samplers.draw_from_uniform(u, np.tile(row, (8, 1)))[0])
    np.testing.assert_allclose(got, ids, rtol=0, atol=10)
    assert got[4] == head


def test_inversion_agrees_with_float64():
    rng = np.random.default_rng(0)
    z, u = (rng.normal(size=(500, 300)) * 3).astype(np.float32), rng.random(500)
    mass = np.cumsum(np.exp(z.astype(np.float64)), -1)
    np.testing.assert_array_equal(samplers.draw_from_uniform(u, z)[0], (mass <= u[:, None] * mass[:, -1:]).sum(-1))


@pytest.mark.parametrize(
    ("u", "expected"), [(0.0, 1), (0.25, 1), (0.5, 2), (np.nextafter(1.0, 0.0), 2), (1.0, -1), (-1e-9, -1), (np.nan, -1), (5e-324, 1)]
)
def test_no_uniform_falls_off_an_end(u, expected):
    assert int(samplers.draw_from_uniform(u, np.array([-INF, 0, 0, -INF], np.float32))[0]) == expected


def test_a_pair_of_floats_reaches_past_float32():
    row = jnp.zeros((1, 4), jnp.float32)
    assert int(samplers.draw_from_uniform((jnp.float32(0.5), jnp.float32(-1e-12)), row)[0][0]) == 1
    assert int(samplers.draw_from_uniform((jnp.float32(0.5), jnp.float32(1e-12)), row)[0][0]) == 2
    assert int(samplers.draw_from_uniform((jnp.float32(1.0), jnp.float32(-1e-9)), row)[0][0]) == 3


def test_infinite_logits_share_everything():
    z = np.tile(np.array([1, INF, 5, INF], np.float32), (64, 1))
    tokens, info = samplers.draw(jax.random.key(0), z)
    assert set(np.asarray(tokens).tolist()) == {1, 3}
    np.testing.assert_allclose(info["surprisal"], np.log(2), rtol=1e-6)


def test_padding_rows_dtype_and_jit_change_no_draw():
    z = jnp.asarray(np.random.default_rng(1).normal(size=(8, 300)) * 2, jnp.bfloat16)
    key = jax.random.key(3)
    tokens = np.asarray(samplers.draw(key, z)[0])
    wide = np.pad(np.asarray(z.astype(jnp.float32)), ((0, 5), (0, 40)), constant_values=-INF)
    np.testing.assert_array_equal(samplers.draw(key, wide)[0][:8], tokens)
    np.testing.assert_array_equal(jax.jit(samplers.draw)(key, z)[0], tokens)


def test_a_key_a_row_is_that_key_alone():
    z = jnp.asarray(np.random.default_rng(2).normal(size=(4, 50)), jnp.float32)
    keys = jax.random.split(jax.random.key(5), 4)
    together = samplers.draw(keys, z)[0]
    for row in range(4):
        assert int(samplers.draw(keys[row : row + 1], z[row : row + 1])[0][0]) == int(together[row])
    old = jax.random.PRNGKey(7)
    np.testing.assert_array_equal(samplers.draw(old, z)[0], samplers.draw(jax.random.wrap_key_data(old), z)[0])


def test_surprisal_is_that_of_the_token_drawn():
    z = np.random.default_rng(3).normal(size=(16, 40)).astype(np.float32) * 4
    tokens, info = samplers.draw(jax.random.key(1), z)
    p = np.exp(z.astype(np.float64))
    expected = -np.log(p[np.arange(16), np.asarray(tokens)] / p.sum(-1))
    np.testing.assert_allclose(info["surprisal"], expected, atol=2e-6)
