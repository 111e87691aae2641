"""The model computes what transformers computes: whole logits and part by part, against committed numbers (`make_golden.py`)."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from agreement import largest_kl, max_abs
from tiny_llama import CASES, prompts, tiny_weights

from samplerfuzz import llama
from samplerfuzz.llama.layers import Block
from samplerfuzz.llama.rope import angles

GOLDEN = np.load(Path(__file__).parent / "golden" / "tiny.npz")
PARTS = ("attention_norm", "attention", "feed_forward", "block", "final_norm")


def model_of(name: str) -> llama.LlamaModel:
    return llama.LlamaModel(CASES[name], {key: jnp.asarray(value) for key, value in tiny_weights(CASES[name]).items()})


def run_part(model: llama.LlamaModel, part: str, x: jax.Array) -> jax.Array:
    if part == "final_norm":
        return model.final_norm(x)
    first: Block = jax.tree.map(lambda leaf: leaf[0], model.blocks)
    positions = jnp.arange(x.shape[1], dtype=jnp.int32)[None]
    turns, mask = angles(model.config, positions), positions[:, None, :] <= positions[:, :, None]
    if part == "attention":
        query, keys, values = first.attention.heads(x, turns)
        return first.attention.attend(query, keys, values, mask)
    if part == "block":
        return first(x, turns, mask, lambda key, value: (key, value, None))[0]
    return {"attention_norm": first.attention_norm, "feed_forward": first.feed_forward}[part](x)


@pytest.mark.parametrize("name", CASES)
def test_every_position_has_the_logits_of_transformers(name: str) -> None:
    texts = prompts(CASES[name])
    logits = np.asarray(llama.logits_all(model_of(name), *llama.pad_prompts(texts)))
    for row, text in enumerate(texts):
        theirs = GOLDEN[f"{name}/logits/{row}"]
        assert max_abs(logits[row, : len(text)], theirs) < 1e-4
        assert largest_kl(logits[row, : len(text)], theirs) < 1e-6


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", CASES)
def test_every_part_gives_what_transformers_gives(name: str, part: str) -> None:
    ours = run_part(model_of(name), part, jnp.asarray(GOLDEN[f"{name}/{part}_in"]))
    assert max_abs(np.asarray(ours), GOLDEN[f"{name}/{part}_out"]) < 1e-4


@pytest.mark.parametrize("name", CASES)
def test_rotary_angles_are_those_of_transformers(name: str) -> None:
    golden = GOLDEN[f"{name}/cosine"]
    cosine, sine = angles(CASES[name], jnp.arange(len(golden), dtype=jnp.int32)[None])
    assert max_abs(np.asarray(cosine[0, :, 0]), golden) < 1e-5
    assert max_abs(np.asarray(sine[0, :, 0]), GOLDEN[f"{name}/sine"]) < 1e-5


def test_the_golden_numbers_can_tell_models_apart() -> None:
    """The bounds above mean something: a rotary base of 10,100 instead of 10,000 is seen."""
    import dataclasses

    config = dataclasses.replace(CASES["mha_tied"], rope_theta=10100.0)
    model = llama.LlamaModel(config, {key: jnp.asarray(value) for key, value in tiny_weights(config).items()})
    logits = np.asarray(llama.logits_all(model, [prompts(config)[0]]))[0]
    assert max_abs(logits, GOLDEN["mha_tied/logits/0"]) > 1e-4
