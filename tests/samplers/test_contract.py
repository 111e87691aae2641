"""Every registered technique under one contract: traced once, rows independent, masks kept, poison visible."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from samplerfuzz import samplers
from samplerfuzz.cases.parameters import edge, ordinary
from samplerfuzz.core.registry import TECHNIQUES, load, technique

ROWS, SIZE = 8, 16
_RUN = importlib.import_module("samplerfuzz.samplers.chain")._run
HISTORY = {"history": np.tile(np.arange(4, dtype=np.int32), (ROWS, 1)), "history_lengths": np.full(ROWS, 4, np.int32)}


def _values(name, rng, logits, make):
    given = {}
    for parameter in technique(name).parameters:
        value = make(parameter.name, rng, len(logits), logits)
        given[parameter.name] = np.zeros(logits.shape, np.float32) if isinstance(value, list) else np.asarray(value, np.float32)
    return given


def _logits(rng):
    z = rng.normal(size=(ROWS, SIZE)).astype(np.float32) * 3
    z[rng.random(z.shape) < 0.2] = -np.inf
    z[:, 3] = 1.0
    return z


@pytest.mark.parametrize("name", TECHNIQUES)
def test_any_parameters_compile_once(name):
    rng = np.random.default_rng(0)
    before = _RUN._cache_size()
    for _ in range(50):
        logits = _logits(rng)
        samplers.apply([name], _values(name, rng, logits, ordinary), logits, **HISTORY)
        samplers.apply([name], _values(name, rng, logits, edge), logits, **HISTORY)
    assert _RUN._cache_size() - before <= 1


def test_ten_thousand_configurations_compile_once():
    traced = []

    @jax.jit
    def processed(t, k, p, logits):
        traced.append(1)
        return samplers.chain(samplers.temperature(t), samplers.top_k(k), samplers.top_p(p))(logits)[0]

    rng = np.random.default_rng(0)
    for _ in range(10):
        t, k, p = rng.uniform(-2, 2, 1000), rng.integers(-1, 20, 1000), rng.random(1000)
        processed(*(jnp.asarray(x, jnp.float32) for x in (t, k, p)), jnp.asarray(rng.normal(size=(1000, SIZE)), jnp.float32))
    assert len(traced) == 1


@pytest.mark.parametrize("name", TECHNIQUES)
def test_a_row_alone_is_the_row_in_the_batch(name):
    rng = np.random.default_rng(1)
    logits = _logits(rng)
    given = _values(name, rng, logits, ordinary)
    together = np.asarray(samplers.apply([name], given, logits, **HISTORY))
    for row in range(ROWS):
        alone = samplers.apply(
            [name],
            {k: v[row : row + 1] for k, v in given.items()},
            logits[row : row + 1],
            **{k: v[row : row + 1] for k, v in HISTORY.items()},
        )
        np.testing.assert_array_equal(np.asarray(alone)[0], together[row])


@pytest.mark.parametrize("name", TECHNIQUES)
def test_masks_stay_and_something_stays(name):
    rng = np.random.default_rng(2)
    for make in (ordinary, edge):
        for _ in range(20):
            logits = _logits(rng)
            given = {k: np.nan_to_num(v, nan=1.0) for k, v in _values(name, rng, logits, make).items()}
            if "repetition_penalty" in given:
                given["repetition_penalty"] = np.where(given["repetition_penalty"] <= 0, 1, given["repetition_penalty"]).astype(np.float32)
            out = np.asarray(samplers.apply([name], given, logits, **HISTORY))
            assert (out[np.isneginf(logits)] == -np.inf).all()
            assert (out > -np.inf).any(-1).all()
            assert not np.isnan(out).any()


@pytest.mark.parametrize("name", TECHNIQUES)
def test_poison_stays_in_its_row(name):
    rng = np.random.default_rng(3)
    logits = _logits(rng)
    given = _values(name, rng, logits, ordinary)
    clean = np.asarray(samplers.apply([name], given, logits, **HISTORY))
    logits[2, 5] = np.nan
    out = np.asarray(samplers.apply([name], given, logits, **HISTORY))
    assert np.isnan(out[2]).all()
    np.testing.assert_array_equal(np.delete(out, 2, 0), np.delete(clean, 2, 0))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", TECHNIQUES)
def test_low_precision_logits_keep_their_dtype(name, dtype):
    rng = np.random.default_rng(4)
    logits = jnp.asarray(_logits(rng), dtype)
    out = samplers.apply([name], _values(name, rng, np.asarray(logits, np.float32), ordinary), logits, **HISTORY)
    assert out.dtype == logits.dtype
    assert not np.isnan(np.asarray(out, np.float32)).any()


@pytest.mark.parametrize("name", TECHNIQUES)
def test_both_implementations_are_documented(name):
    for path in (technique(name).sampler, technique(name).oracle):
        assert load(path).__doc__
