"""Cache, padding, batches, depth and precision: however the model is run, the logits are the same."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from agreement import largest_kl, max_abs
from tiny_llama import CASES, LENGTHS, prompts, tiny_weights

from samplerfuzz import llama
from samplerfuzz.core.errors import ParameterError
from samplerfuzz.llama.forward import run_all

CONFIG = CASES["gqa_llama3_rope"]


def model_of(config: llama.LlamaConfig, dtype: str = "float32") -> llama.LlamaModel:
    return llama.LlamaModel(config, {key: jnp.asarray(value, jnp.dtype(dtype)) for key, value in tiny_weights(config).items()})


MODEL = model_of(CONFIG)


@pytest.mark.parametrize("name", CASES)
def test_the_cache_changes_nothing(name: str) -> None:
    model, texts = model_of(CASES[name]), prompts(CASES[name])
    whole = np.asarray(llama.logits_all(model, *llama.pad_prompts(texts)))
    starts = [max(1, len(text) - 5) for text in texts]
    logits, cache = llama.prefill(model, *llama.pad_prompts([text[:start] for text, start in zip(texts, starts)]), capacity=40)
    fed = [start - 1 for start in starts]
    for _ in range(5):
        for row, position in enumerate(fed):
            if position < len(texts[row]):
                assert max_abs(np.asarray(logits[row]), whole[row, position]) < 1e-5
        fed = [position + 1 for position in fed]
        logits, cache = llama.decode_step(model, [texts[row][min(at, len(texts[row]) - 1)] for row, at in enumerate(fed)], cache)


def test_a_row_alone_is_the_row_in_a_batch() -> None:
    texts = prompts(CONFIG)
    together, _ = llama.prefill(MODEL, *llama.pad_prompts(texts))
    for row, text in enumerate(texts):
        alone, _ = llama.prefill(MODEL, [text])
        assert max_abs(np.asarray(together[row]), np.asarray(alone[0])) < 1e-5


def test_what_stands_in_the_padding_does_not_matter() -> None:
    ids, lengths = llama.pad_prompts(prompts(CONFIG))
    noise = np.where(np.arange(ids.shape[1])[None, :] < lengths[:, None], ids, 96)
    np.testing.assert_array_equal(llama.prefill(MODEL, ids, lengths)[0], llama.prefill(MODEL, noise, lengths)[0])


def test_prefill_gives_the_logits_after_the_last_real_token() -> None:
    ids, lengths = llama.pad_prompts(prompts(CONFIG))
    whole = np.asarray(llama.logits_all(MODEL, ids, lengths))
    last, cache = llama.prefill(MODEL, ids, lengths)
    assert max_abs(np.asarray(last), whole[np.arange(3), lengths - 1]) < 1e-5
    np.testing.assert_array_equal(cache.lengths, LENGTHS)


def test_a_step_donates_the_cache() -> None:
    logits, cache = llama.prefill(MODEL, [[1, 2, 3]], capacity=8)
    llama.decode_step(MODEL, np.asarray(logits.argmax(-1)), cache)
    assert cache.keys.is_deleted()
    assert cache.values.is_deleted()


def test_lengths_of_one_bucket_compile_once() -> None:
    from samplerfuzz.llama.forward import _prefill

    llama.prefill(MODEL, [list(range(1, 17))])
    compiled = _prefill._cache_size()
    for length in range(1, 17):
        llama.prefill(MODEL, [list(range(1, length + 1))])
    assert _prefill._cache_size() == compiled


def test_depth_does_not_grow_the_program() -> None:
    def size(layers: int) -> int:
        config = dataclasses.replace(CONFIG, num_layers=layers)
        ids = jax.ShapeDtypeStruct((1, 16), jnp.int32)
        return len(jax.jit(run_all).lower(model_of(config), ids).as_text().splitlines())

    assert size(12) == size(2)


def test_bfloat16_stays_near_float32() -> None:
    texts = prompts(CONFIG)[:1]
    rough = np.asarray(llama.logits_all(model_of(CONFIG, "bfloat16"), texts))[0]
    exact = np.asarray(llama.logits_all(MODEL, texts))[0]
    assert rough.dtype == np.float32
    assert largest_kl(rough, exact) < 1e-2
    assert max_abs(rough, exact) > 1e-4, "bfloat16 was not used"


def test_the_model_can_be_trained() -> None:
    def loss(model: llama.LlamaModel) -> jax.Array:
        return run_all(model, jnp.asarray([[1, 2, 3]], jnp.int32)).mean()

    gradient = jax.grad(loss)(MODEL)
    assert all(np.isfinite(leaf).all() and np.abs(leaf).max() > 0 for leaf in gradient.weights().values())


@pytest.mark.parametrize(
    ("ids", "lengths", "message"),
    [
        ([[1, 97]], None, r"token_ids\[0, 1\] = 97: expected an id in \[0, 97\)"),
        ([[1, -1]], None, r"token_ids\[0, 1\] = -1"),
        ([[1, 2]], [3], r"lengths: expected values in \[1, 2\], found \[3\]"),
        ([[1, 2]], [0], r"lengths: expected values in \[1, 2\], found \[0\]"),
        ([[1, 2]], [1, 1], r"lengths: expected integers of shape \(1,\)"),
        ([[1.0, 2.0]], None, "token_ids: expected integers"),
        ([1, 2], None, "token_ids: expected integers"),
        ([[0] * 257], None, "the model has 256 positions, found 257"),
    ],
)
def test_a_wrong_batch_is_refused(ids: list, lengths: list | None, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        llama.prefill(MODEL, ids, lengths)
    with pytest.raises(ParameterError, match=message):
        llama.logits_all(MODEL, ids, lengths)


def test_a_padded_id_may_be_anything() -> None:
    llama.prefill(MODEL, [[1, -5]], [1])


def test_a_full_cache_is_refused() -> None:
    _, cache = llama.prefill(MODEL, [list(range(16))])
    with pytest.raises(ParameterError, match="all 16 positions of a row are used"):
        llama.decode_step(MODEL, [1], cache)


def test_a_wrong_token_of_a_step_is_refused() -> None:
    _, cache = llama.prefill(MODEL, [[1]])
    with pytest.raises(ParameterError, match=r"expected ids in \[0, 97\), found \[97\]"):
        llama.decode_step(MODEL, [97], cache)
    with pytest.raises(ParameterError, match="expected integers of shape"):
        llama.decode_step(MODEL, [1, 2], cache)


def test_prompts_must_hold_tokens() -> None:
    for wrong, message in (([], "at least one"), ([[1], []], r"prompts\[1\]"), ([[1.5]], "token ids")):
        with pytest.raises(ParameterError, match=message):
            llama.pad_prompts(wrong)
