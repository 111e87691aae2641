"""Live: tiny random LLaMAs in transformers and here, whole, part by part, left-padded, and through each other's files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from agreement import largest_kl, max_abs
from tiny_llama import CASES, prompts, tiny_weights

from samplerfuzz import llama

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("default")]


def both(name, seed):
    from hf_llama import hf_model

    weights = tiny_weights(CASES[name], seed)
    return llama.LlamaModel(CASES[name], {key: jnp.asarray(value) for key, value in weights.items()}), hf_model(CASES[name], weights)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", CASES)
def test_logits_agree_at_every_position(transformers, name, seed):
    from hf_llama import hf_logits, hf_logits_left_padded

    ours, theirs = both(name, seed)
    texts = prompts(CASES[name])
    logits = np.asarray(llama.logits_all(ours, *llama.pad_prompts(texts)))
    for run in (hf_logits, hf_logits_left_padded):
        for row, expected in enumerate(run(theirs, texts)):
            found = logits[row, : len(expected)]
            print(f"{name:16} seed {seed} {run.__name__:22} max-abs {max_abs(found, expected):.1e} KL {largest_kl(found, expected):.1e}")
            assert max_abs(found, expected) < 1e-4
            assert largest_kl(found, expected) < 1e-6


@pytest.mark.parametrize("name", CASES)
def test_greedy_continuations_agree(transformers, name):
    from hf_llama import hf_greedy

    ours, theirs = both(name, 1)
    got = llama.generate(ours, prompts(CASES[name]), sample=greedy, sampler_params=None, key=jax.random.key(0), max_new_tokens=64)
    assert got.rows() == [hf_greedy(theirs, prompt, 64) for prompt in prompts(CASES[name])]


def greedy(_params, _key, logits, state):
    return jnp.argmax(logits, axis=-1).astype(jnp.int32), state, None


@pytest.mark.parametrize("name", CASES)
def test_transformers_reads_what_is_written_here(transformers, tmp_path, name):
    from hf_llama import hf_logits

    ours, _ = both(name, 1)
    llama.save_safetensors(tmp_path, ours)
    theirs = transformers.LlamaForCausalLM.from_pretrained(tmp_path, attn_implementation="eager").eval()
    texts = prompts(CASES[name])
    assert max_abs(np.asarray(llama.logits_all(ours, texts[:1]))[0], hf_logits(theirs, texts[:1])[0]) < 1e-4


@pytest.mark.parametrize("shard", ["100GB", "20KB"])
@pytest.mark.parametrize("name", CASES)
def test_what_transformers_writes_is_read_here(transformers, tmp_path, name, shard):
    from hf_llama import hf_logits

    _, theirs = both(name, 1)
    theirs.save_pretrained(tmp_path, max_shard_size=shard)
    assert (tmp_path / "model.safetensors.index.json").exists() == (shard == "20KB")
    ours, config = llama.load_model(tmp_path)
    assert config == CASES[name]
    texts = prompts(CASES[name])
    assert max_abs(np.asarray(llama.logits_all(ours, texts[:1]))[0], hf_logits(theirs, texts[:1])[0]) < 1e-4
