"""The step in one piece draws what the chain and the draw give, on rows of every kind; what stages declare of themselves is true."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from samplerfuzz import samplers
from samplerfuzz.cases.parameters import edge, ordinary
from samplerfuzz.core.registry import TECHNIQUES, technique
from samplerfuzz.samplers.shortlist import SIZES, shortlist

SIZE = 11000  # enough for every size of shortlist
INF, NAN = np.inf, np.nan


def rows():
    """Return rows of every kind that a shortlist can meet, [16, SIZE]."""
    rng = np.random.default_rng(0)
    z = (rng.normal(size=(16, SIZE)) * 3).astype(np.float32)
    z[0, 100:120] += 12  # a head, side by side
    z[1, ::450] += 12
    z[2] = np.round(z[2] * 4) / 4  # ties everywhere
    z[3] = np.asarray(jnp.asarray(z[3], jnp.bfloat16), np.float32)
    z[4] = 1.5  # one tie
    z[5] = -INF
    z[5, [7, 4000]] = [1.0, 2.0]
    z[6] = -INF
    z[7, 5] = NAN
    z[8, 4500:4800] = 30  # more large tokens than a shortlist holds
    z[9] *= 1e-40  # subnormal
    z[10] = np.where(rng.random(SIZE) < 0.5, -INF, z[10])
    z[11, [3, 8000]] = INF
    z[12] *= 1e36
    z[13, 17] = 40
    z[14] = np.arange(SIZE) / 100
    z[15] = -z[14]
    return z


ROWS = rows()
T = np.array([0.8, 1, 0.5, 1, 0.7, 1, 1, 1, 0, -0.5, 1.2, 1, 2, INF, 0.01, NAN])
K = np.array([50, 40, 1, 0, 0, 64, 5, 9, 20, 3, 0, 2, 100, 50, SIZE, 300])
CHAINS = {
    "the common chain": lambda r: samplers.chain(samplers.temperature(T[r]), samplers.top_k(K[r]), samplers.top_p(np.linspace(0, 1, 16)[r])),
    "ratios after the rest": lambda r: samplers.chain(samplers.top_k(K[::-1][r]), samplers.typical_p(0.9), samplers.xtc(0.1, 0.5, key=jax.random.key(8)), samplers.min_p(0.05)),
    "deviations": lambda r: samplers.chain(samplers.top_n_sigma(np.linspace(-0.5, 3, 16)[r]), samplers.temperature(T[::-1][r])),
    "greedy": lambda r: samplers.chain(samplers.greedy(), samplers.top_k(3)),
    "nothing that cuts": lambda r: samplers.chain(samplers.temperature(T[r])),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_a_step_draws_what_chain_and_draw_do(name):
    chain = CHAINS[name](slice(None))
    kept, _, _ = chain(ROWS)
    step = jax.jit(lambda key, chain, logits: samplers.sample(key, chain, logits))
    for seed in range(5):
        key = jax.random.key(seed)
        tokens, info = samplers.draw(key, kept)
        got, _, told = step(key, chain, ROWS)
        np.testing.assert_array_equal(got, tokens)
        np.testing.assert_allclose(told["surprisal"], info["surprisal"], atol=2e-6)
    np.testing.assert_array_equal(told["kept"], np.where(np.asarray(tokens) < 0, 0, (np.asarray(kept) > -INF).sum(-1)))


def test_a_row_alone_draws_what_it_draws_among_others():
    keys = jax.random.split(jax.random.key(1), 16)
    together = samplers.sample(keys, CHAINS["the common chain"](slice(None)), ROWS)[0]
    for row in range(16):
        own = slice(row, row + 1)
        assert int(samplers.sample(keys[own], CHAINS["the common chain"](own), ROWS[own])[0][0]) == int(together[row])


def test_penalties_before_the_cut_see_their_tokens():
    state = samplers.State(jnp.asarray(np.tile(np.argsort(ROWS[1])[-4:], (16, 1)), jnp.int32), jnp.full(16, 4, jnp.int32))
    chain = samplers.chain(samplers.frequency_penalty(100.0), samplers.temperature(0.8), samplers.top_k(20))
    got, after, _ = samplers.sample(jax.random.key(0), chain, ROWS, state)
    np.testing.assert_array_equal(got, samplers.draw(jax.random.key(0), chain(ROWS, state)[0])[0])
    assert after is not None


def test_new_values_compile_nothing():
    traced = []

    @jax.jit
    def step(key, chain, logits):
        traced.append(1)
        return samplers.sample(key, chain, logits)[0]

    rng = np.random.default_rng(0)
    for seed in range(5):
        t, k, p = rng.uniform(-1, 2, 16), rng.integers(0, 200, 16), rng.random(16)
        step(jax.random.key(seed), samplers.chain(samplers.temperature(t), samplers.top_k(k), samplers.top_p(p)), ROWS)
    assert len(traced) == 1


@pytest.mark.parametrize("size", SIZES)
def test_nothing_above_the_bar_is_missing_from_a_shortlist(size):
    assert size.pays(SIZE)
    short = jax.jit(lambda z: shortlist(z, size))(ROWS)
    for row, z in enumerate(ROWS):
        if np.isnan(z).any():
            assert short.poisoned[row]
            continue
        assert not short.poisoned[row]
        bar, listed = np.asarray(short.logits[row, 0]), np.asarray(short.logits[row, 1:])
        above = np.flatnonzero(z > bar)
        if short.complete[row]:
            np.testing.assert_array_equal(np.asarray(short.ids[row, 1:])[listed > -INF], above)
            np.testing.assert_array_equal(listed[listed > -INF], z[above])
        else:
            assert len(above) >= size.length
    assert np.asarray(short.complete)[[0, 1, 2, 3, 5, 6, 10, 11, 12, 13]].all()


def values(name, rng, logits, make):
    given = {}
    for item in technique(name).parameters:
        value = make(item.name, rng, len(logits), logits)
        if item.is_number:
            given[item.name] = np.nan_to_num(np.asarray(value, np.float64), nan=0.5)
        else:
            given[item.name] = np.zeros(logits.shape, np.float32 if item.kind == "bias" else bool)
    return given


@pytest.mark.parametrize("make", [ordinary, edge])
@pytest.mark.parametrize("name", TECHNIQUES)
def test_what_a_stage_declares_is_true(name, make):
    """That masking a token is deleting it, where it rises and where it is neutral, for any parameters."""
    rng = np.random.default_rng(5)
    z = np.round(rng.normal(size=(64, 20)) * 16).astype(np.float32) / 8
    z[:, 4] = -INF
    (stage,) = samplers.build((name,), values(name, rng, z, make)).stages
    if not stage.masked_is_deleted:
        assert stage.rises(64) is None
        return
    out = np.asarray(stage(z)[0])
    np.testing.assert_array_equal(np.asarray(stage(np.delete(z, 4, 1))[0]), np.delete(out, 4, 1))
    neutral, rises = stage.neutral(*z.shape), stage.rises(64)
    if neutral is not None:
        off = np.asarray(neutral)[:, 0]
        np.testing.assert_array_equal(out[off], z[off])
    if rises is not None:
        order = np.argsort(z, -1, kind="stable")
        low, high = (np.take_along_axis(out, order, -1)[:, part] for part in (slice(None, -1), slice(1, None)))
        tied = np.diff(np.take_along_axis(z, order, -1)[:, 1:]) == 0
        assert ((low <= high)[:, 1:] | tied)[np.asarray(rises)[:, 0]].all()
