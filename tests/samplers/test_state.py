"""State: what a chain carries from step to step, exact on tables, and the same however it is driven."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from samplerfuzz import samplers
from samplerfuzz.core.registry import TECHNIQUES, load
from samplerfuzz.samplers import State

INF = np.inf
REMEMBERING = [name for name, item in TECHNIQUES.items() if item.remembers]


def logs(*p):
    return np.log(np.array([p], np.float32))


def fresh(rows=1, room=16, prompt=0):
    return State(jnp.zeros((rows, room), jnp.int32), jnp.full(rows, prompt, jnp.int32), jnp.full(rows, prompt, jnp.int32))


def taken(step, state, logits, tokens):
    _, _, infos = step(logits, state)
    return step.accept(state, jnp.array(tokens, jnp.int32), infos)


def test_mirostat_moves_its_bound_by_the_surprise_before_the_cut():
    step = samplers.chain(samplers.mirostat(1.0, 0.5))
    state = step.begin(fresh())
    assert state.memory["mirostat"].tolist() == [2.0]
    state = taken(step, state, logs(0.5, 0.25, 0.25), [1])  # S = 2: μ = 2 − 0.5·(2 − 1)
    np.testing.assert_allclose(state.memory["mirostat"], [1.5], rtol=1e-6)
    state = taken(step, state, logs(0.5, 0.25, 0.25), [0])  # S = 1
    np.testing.assert_allclose(state.memory["mirostat"], [1.5], rtol=1e-6)
    out, _, _ = step(logs(0.5, 0.25, 0.25), state)
    assert (np.asarray(out)[0] > -INF).tolist() == [True, False, False]


def test_mirostat_sees_the_distribution_that_temperature_left():
    step = samplers.chain(samplers.temperature(0.5), samplers.mirostat(1.0, 1.0))
    state = taken(step, step.begin(fresh()), logs(0.6, 0.3, 0.1), [1])
    p = 0.3**2 / (0.6**2 + 0.3**2 + 0.1**2)
    np.testing.assert_allclose(state.memory["mirostat"], [2 - (-np.log2(p) - 1)], rtol=1e-5)


def test_adaptive_p_aims_past_the_target_by_what_it_missed():
    step = samplers.chain(samplers.adaptive_p(0.5, 0.5))
    state = step.begin(fresh())
    assert [part.tolist() for part in state.memory["adaptive_p"]] == [[1.0], [2.0]]
    state = taken(step, state, logs(0.8, 0.2), [0])  # w = 0.8 + 0.5, n = 1 + 1
    np.testing.assert_allclose(np.concatenate(state.memory["adaptive_p"]), [1.3, 2.0], rtol=1e-6)
    _, _, (info,) = step(logs(0.8, 0.2), state)
    np.testing.assert_allclose(info["adapted_target"], [1.0 - 0.65], rtol=1e-6)


def test_adaptive_p_that_is_off_remembers_nothing():
    step = samplers.chain(samplers.adaptive_p(-1.0, 0.5))
    state = step.begin(fresh())
    assert jax.tree.map(np.asarray, taken(step, state, logs(0.8, 0.2), [0]).memory) == state.memory


@pytest.mark.parametrize("name", REMEMBERING)
def test_a_row_that_gave_no_token_remembers_what_it_did(name):
    step = samplers.chain(load(TECHNIQUES[name].sampler)(0.5))
    state = step.begin(fresh(2))
    after = taken(step, state, np.concatenate([logs(0.8, 0.2)] * 2), [1, -1])
    for old, new in zip(jax.tree.leaves(state.memory), jax.tree.leaves(after.memory), strict=True):
        assert new[1] == old[1]
    assert jax.tree.leaves(after.memory)[0][0] != jax.tree.leaves(state.memory)[0][0]


def test_a_full_history_forgets_the_prompt_first():
    state = State(jnp.array([[5, 6, 7]], jnp.int32), jnp.array([3], jnp.int32), jnp.array([1], jnp.int32))
    lengths = []
    for token in (8, 9):
        state = state.append(jnp.array([token], jnp.int32))
        lengths.append(state.prompt_lengths.tolist())
    assert state.history.tolist() == [[7, 8, 9]]
    assert lengths == [[0], [0]]


SIZE, STEPS = 6, 12


def everything(rows):
    """A chain of all that reads or remembers, with parameters of every row's own."""
    spread = np.linspace(0, 1, rows, dtype=np.float32)
    return samplers.chain(
        samplers.repetition_penalty(1 + spread / 2, penalty_last_n=5),
        samplers.frequency_penalty(spread, count_prompt=False),
        samplers.dry(1 + spread, 1.5, 1, dry_sequence_breakers=np.arange(SIZE) == 3),
        samplers.temperature(0.7 + spread),
        samplers.adaptive_p(np.where(spread > 0.5, 0.3, -1), 0.8),
        samplers.mirostat(0.5 + spread, 0.7, mirostat=np.where(spread > 0.7, 1, 2)),
    )


def row_keys(rows):
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(5), jnp.arange(rows))


@jax.jit
def walk(step, state, logits, keys):
    """Take STEPS steps in one compiled loop; the keys are a row's own, so that its draws are."""

    def one(state, at):
        index, z = at
        out, _, infos = step(z, state)
        tokens, _ = samplers.draw(jax.vmap(jax.random.fold_in, (0, None))(keys, index), out)
        return step.accept(state, tokens, infos), (tokens, out)

    return lax.scan(one, state, (jnp.arange(STEPS), logits))


def rows_of_logits(rows):
    return np.random.default_rng(0).normal(size=(STEPS, rows, SIZE)).astype(np.float32) * 2


def test_steps_in_a_compiled_loop_are_steps_one_by_one():
    step, logits, keys = everything(4), rows_of_logits(4), row_keys(4)
    state = step.begin(fresh(4, prompt=2))
    end, (tokens, outs) = walk(step, state, logits, keys)

    @jax.jit
    def one(state, z, tokens):
        out, _, infos = step(z, state)
        return out, step.accept(state, tokens, infos)

    for index in range(STEPS):
        out, state = one(state, logits[index], tokens[index])
        np.testing.assert_allclose(np.asarray(out), np.asarray(outs[index]), rtol=1e-5, atol=1e-5)
    for one, other in zip(jax.tree.leaves(state), jax.tree.leaves(end), strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-5, atol=1e-5)


def test_replayed_and_cloned_steps_are_the_same_to_the_bit():
    step, logits, keys = everything(4), rows_of_logits(4), row_keys(4)
    state = step.begin(fresh(4))
    end, (tokens, _) = walk(step, state, logits, keys)
    clone = jax.tree.map(jnp.array, state)
    again, (others, _) = walk(step, clone, logits, keys)
    np.testing.assert_array_equal(tokens, others)
    jax.tree.map(np.testing.assert_array_equal, end, again)
    # a state is a value: what went on from it left it as it was, and beginning again forgets everything
    jax.tree.map(np.testing.assert_array_equal, state, clone)
    jax.tree.map(np.testing.assert_array_equal, step.begin(end).memory, state.memory)
    assert any((a != b).any() for a, b in zip(jax.tree.leaves(end.memory), jax.tree.leaves(state.memory), strict=True))


def test_a_rows_state_never_touches_anothers():
    step, logits, keys = everything(4), rows_of_logits(4), row_keys(4)
    _, (together, _) = walk(step, step.begin(fresh(4)), logits, keys)
    for row in range(4):
        alone = samplers.chain(*(dataclasses.replace(s, **one_row(s, row)) for s in step.stages))
        _, (tokens, _) = walk(alone, alone.begin(fresh(1)), logits[:, row : row + 1], keys[row : row + 1])
        np.testing.assert_array_equal(tokens[:, 0], together[:, row])


def one_row(stage, row):
    values = {field.name: getattr(stage, field.name) for field in dataclasses.fields(stage)}
    return {name: value[row : row + 1] for name, value in values.items() if value is not None and np.ndim(value) == 1}


def test_a_state_without_a_memory_is_one_that_has_seen_nothing():
    step = everything(4)
    begun, bare = step.begin(fresh(4)), fresh(4)
    z = rows_of_logits(4)[0]
    np.testing.assert_allclose(step(z, begun)[0], step(z, bare)[0], rtol=1e-5)


def test_the_loop_is_traced_once_for_any_parameters():
    traced = []

    @jax.jit
    def one(step, state, z):
        traced.append(1)
        out, _, infos = step(z, state)
        return step.accept(state, jnp.argmax(out, axis=-1).astype(jnp.int32), infos)

    rng = np.random.default_rng(0)
    for _ in range(10):
        tau, eta, version, target = rng.uniform(0, 3, 4), rng.uniform(0, 1, 4), rng.integers(0, 3, 4), rng.uniform(-1, 1, 4)
        step = samplers.chain(samplers.adaptive_p(target, rng.uniform(0, 1, 4)), samplers.mirostat(tau, eta, version))
        state = step.begin(fresh(4))
        for _ in range(3):
            state = one(step, state, rng.normal(size=(4, SIZE)).astype(np.float32))
    assert len(traced) == 1
