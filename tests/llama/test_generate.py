"""Decoding on the device: the loop does what calling the model by hand does, stops early and compiles once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_llama import CASES, prompts, tiny_weights

from samplerfuzz import llama
from samplerfuzz.core.errors import ParameterError

CONFIG = CASES["gqa_untied"]
MODEL = llama.LlamaModel(CONFIG, {key: jnp.asarray(value) for key, value in tiny_weights(CONFIG).items()})
PROMPTS = prompts(CONFIG)
KEY = jax.random.key(3)


def greedy(_params, _key, logits, state):
    return jnp.argmax(logits, axis=-1).astype(jnp.int32), state, {"top": logits.max(axis=-1)}


def drawing(temperature, key, logits, state):
    return jax.random.categorical(key, logits / temperature).astype(jnp.int32), state + 1, {"key": jax.random.key_data(key)}


def greedy_by_hand(prompt, count):
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(np.argmax(llama.logits_all(MODEL, [ids])[0, -1])))
    return ids[len(prompt) :]


def run(**changes):
    options = {"sample": greedy, "sampler_params": None, "key": KEY, "max_new_tokens": 12}
    return llama.generate(MODEL, PROMPTS, **{**options, **changes})


def test_the_loop_emits_what_the_model_run_by_hand_emits():
    assert run().rows() == [greedy_by_hand(prompt, 12) for prompt in PROMPTS]


def test_a_row_alone_is_the_row_in_a_batch():
    together = run().rows()
    for row, prompt in enumerate(PROMPTS):
        assert llama.generate(MODEL, [prompt], sample=greedy, sampler_params=None, key=KEY, max_new_tokens=12).rows() == [together[row]]


def test_a_row_ends_with_its_end_token_and_the_others_go_on():
    free = run().rows()
    end = free[0][4]
    got = run(eos_ids=[end])
    for row, tokens in enumerate(free):
        stop = tokens.index(end) + 1 if end in tokens else 12
        assert got.rows()[row] == tokens[:stop]
        assert (got.tokens[row, stop:] == -1).all()
        assert got.ended[row] == (end in tokens)


def test_the_loop_stops_when_every_row_is_done():
    ends = sorted({row[1] for row in run().rows()} | {row[0] for row in run().rows()})
    got = run(eos_ids=ends, max_new_tokens=100)
    assert got.tokens.shape[1] <= 2
    assert got.ended.all()


def test_one_compilation_serves_every_parameter():
    traces = []

    def counted(temperature, key, logits, state):
        traces.append(1)
        return jax.random.categorical(key, logits / temperature).astype(jnp.int32), state, None

    def go(temperature, seed, count, ends, texts):
        llama.generate(
            MODEL,
            texts,
            sample=counted,
            sampler_params=jnp.float32(temperature),
            key=jax.random.key(seed),
            max_new_tokens=count,
            eos_ids=ends,
        )

    go(1.0, 0, 5, [], PROMPTS)
    first = len(traces)
    for index, temperature in enumerate((0.5, -0.001, np.inf, 2.0, 1e-9)):
        go(temperature, index, 2 + index, list(range(index)), [prompt[: 22 - index] for prompt in PROMPTS])
    assert len(traces) == first
    assert first <= 3


@pytest.mark.parametrize("chunk", [1, 3, 50])
def test_a_stream_is_the_generation_in_pieces(chunk):
    pieces = list(
        llama.stream(
            MODEL,
            PROMPTS,
            sample=drawing,
            sampler_params=jnp.float32(1.5),
            key=KEY,
            max_new_tokens=12,
            sampler_state=jnp.int32(0),
            chunk=chunk,
        )
    )
    whole = run(sample=drawing, sampler_params=jnp.float32(1.5), sampler_state=jnp.int32(0))
    np.testing.assert_array_equal(np.concatenate([piece.tokens for piece in pieces], axis=1), whole.tokens)
    assert [piece.tokens.shape[1] for piece in pieces] == [1, *[chunk] * (11 // chunk), *([11 % chunk] if 11 % chunk else [])]
    np.testing.assert_array_equal(np.concatenate([piece.info["key"] for piece in pieces]), whole.info["key"])
    assert whole.state == 12


def test_every_step_has_its_own_key():
    keys = run(sample=drawing, sampler_params=jnp.float32(1.0), sampler_state=jnp.int32(0)).info["key"]
    assert len({tuple(key) for key in keys}) == 12


def test_the_info_of_the_sampler_is_stacked_by_step():
    got = run()
    assert got.info["top"].shape == (12, 3)
    first, _ = llama.prefill(MODEL, *llama.pad_prompts(PROMPTS))
    np.testing.assert_allclose(got.info["top"][0], first.max(axis=-1), rtol=1e-6)


def test_a_text_longer_than_the_model_is_refused():
    with pytest.raises(ParameterError, match="the longest prompt has 24 tokens and the model 256 positions; expected at most 232"):
        run(max_new_tokens=233)


@pytest.mark.parametrize("count", [0, -1])
def test_nothing_to_generate_is_refused(count):
    with pytest.raises(ParameterError, match="expected an integer >= 1"):
        run(max_new_tokens=count)


def refusing(_params, _key, logits, state):
    tokens = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    return jnp.where((state == 2) & (jnp.arange(3) == 1), -1, tokens), state + 1, None


def test_a_row_from_which_nothing_can_be_drawn_stops_and_has_not_ended():
    free = run().rows()
    got = run(sample=refusing, sampler_state=jnp.int32(0))
    assert got.rows() == [free[0], free[1][:2], free[2]]
    assert not got.ended.any()


@pytest.mark.parametrize("token", [-2, 97])
def test_a_sampler_that_leaves_the_vocabulary_is_found_out(token):
    def leaving(_params, _key, logits, state):
        return jnp.full(len(logits), token, jnp.int32), state, None

    with pytest.raises(ParameterError, match=rf"returned the token {token}; expected an id in \[0, 97\)"):
        run(sample=leaving)


@pytest.mark.parametrize("key", [None, 3, np.array([0, 1], np.uint32)])
def test_a_key_of_another_kind_is_refused(key):
    with pytest.raises(ParameterError, match="expected a JAX random key"):
        run(key=key)


def test_no_public_name_is_shadowed_by_a_module():
    """Importing `samplerfuzz.llama.x` puts the module x on the package: a function x would be gone."""
    import pkgutil

    assert not {module.name for module in pkgutil.iter_modules(llama.__path__)} & set(llama.__all__)
