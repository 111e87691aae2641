"""SmolLM2-135M: the numbers of transformers' own reading of the same GGUF file, committed (no torch needed) and live."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from agreement import largest_kl, least_overlap, max_abs, top

from samplerfuzz import llama

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("smollm2"), pytest.mark.filterwarnings("default")]
GOLDEN = np.load(Path(__file__).parents[1] / "llama" / "golden" / "smollm2.npz")
PROMPTS = [GOLDEN[f"{index}/ids"].astype(int).tolist() for index in range(20)]
GREEDY = [GOLDEN[f"{index}/greedy"].astype(int).tolist() for index in range(20)]


@pytest.fixture(scope="module")
def model(smollm2):
    return llama.load_model(smollm2)[0]


@pytest.fixture(scope="module")
def logits(model):
    return np.asarray(llama.logits_all(model, *llama.pad_prompts(PROMPTS)))


def greedy(_params, _key, logits, state):
    return jnp.argmax(logits, axis=-1).astype(jnp.int32), state, None


def test_the_shape_is_the_published_one(smollm2):
    config = llama.load_config(smollm2)
    assert (config.num_layers, config.hidden_size, config.num_heads, config.num_kv_heads, config.head_dim) == (30, 576, 9, 3, 64)
    assert (config.intermediate_size, config.vocab_size, config.rope_theta, config.max_position) == (1536, 49152, 100000.0, 8192)
    assert config.tie_embeddings


def test_the_ten_best_agree_at_every_position_of_twenty_prompts(logits):
    for index, prompt in enumerate(PROMPTS):
        found = logits[index, : len(prompt)]
        best = GOLDEN[f"{index}/top"].astype(int)
        assert least_overlap(top(found), best) >= 9
        np.testing.assert_array_equal(found.argmax(-1), best[:, 0])
        assert max_abs(np.take_along_axis(found, best, axis=-1), GOLDEN[f"{index}/top_logits"]) < 1e-3


def test_greedy_text_is_identical(model):
    got = llama.generate(model, PROMPTS, sample=greedy, sampler_params=None, key=jax.random.key(0), max_new_tokens=32)
    assert got.rows() == GREEDY


def test_a_prompt_alone_continues_as_in_the_batch(model):
    got = llama.generate(model, PROMPTS[:1], sample=greedy, sampler_params=None, key=jax.random.key(0), max_new_tokens=32)
    assert got.rows() == GREEDY[:1]


def test_the_least_likely_token_after_the_prompt_of_the_mission(model):
    """`Temperature is a concept`, T = -0.001: id 32550 (`emeteries`) by a margin of about 2 nats, so T = -0.001 always draws it."""
    assert PROMPTS[0] == [38115, 314, 253, 1909]
    last = np.asarray(llama.prefill(model, PROMPTS[:1])[0][0])
    order = np.argsort(last)
    print("arg-min", order[:3], "margin", last[order[1]] - last[order[0]])
    assert order[0] == 32550
    assert 1.5 < last[order[1]] - last[order[0]] < 2.5


def test_live_parity_with_transformers(transformers, smollm2, logits):
    from hf_llama import hf_from_gguf, hf_logits

    theirs = hf_logits(hf_from_gguf(smollm2), PROMPTS)
    print("\nprompt  positions  max-abs   KL       top-10 overlap  arg-max equal")
    for index, expected in enumerate(theirs):
        found = logits[index, : len(expected)]
        gap, kl, overlap = max_abs(found, expected), largest_kl(found, expected), least_overlap(top(found), top(expected))
        same = (found.argmax(-1) == expected.argmax(-1)).all()
        print(f"{index:6}  {len(expected):9}  {gap:.1e}  {kl:.1e}  {overlap:14}  {same}")
        assert gap < 1e-3
        assert kl < 1e-6
        assert overlap >= 9
        assert same
