import jax.numpy as jnp
import numpy as np
import pytest

from samplerfuzz.core.seeding import stream
from samplerfuzz.samplers import tiles


@pytest.mark.parametrize("size", [1, 7, 8, 9, 63, 64, 65, 519, 8193, 50257])
def test_several_sums_of_one_read_are_those_of_float64(size):
    rng = stream(1, "swept", size)
    x, inside = rng.exponential(size=(3, size)).astype(np.float32), rng.random((3, size)) < 0.5
    limit = np.array([0.0, 0.5, 2.0], np.float32)

    def terms(x, inside, limit):
        return [x * limit, jnp.where(inside, x**2, 0.0), (inside & (x > limit)).astype(jnp.int32)]

    scaled, squares, above = tiles.swept(terms, (jnp.asarray(x), jnp.asarray(inside)), (limit,))
    wide = x.astype(np.float64)
    np.testing.assert_allclose(scaled, wide.sum(-1) * limit, rtol=1e-6)
    np.testing.assert_allclose(squares, np.where(inside, wide**2, 0).sum(-1), rtol=1e-6)
    np.testing.assert_array_equal(above, (inside & (x > limit[:, None])).sum(-1))
