"""The replication says what it found, with controls, and claims nothing that its interval does not carry."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner

from samplerfuzz.cli.main import group
from samplerfuzz.llama.load import load_model
from samplerfuzz.llama.load_tokenizer import load_tokenizer
from samplerfuzz.llama.models import find
from samplerfuzz.probe.atlas import last_logits
from samplerfuzz.probe.loops import Loop, loop_of
from samplerfuzz.probe.replication import replicate as module
from samplerfuzz.probe.replication.claims import REFUTED, SUPPORTED, UNDECIDED, lower, share
from samplerfuzz.probe.replication.replicate import PROMPT, neighbours, replicate
from samplerfuzz.probe.replication.variants import ROUNDINGS, rounded, shuffled


@pytest.fixture(scope="module")
def tiny():
    path = find("tiny").path
    return load_model(path)[0], load_tokenizer(path)


@pytest.mark.parametrize(
    ("ids", "loop"),
    [
        ([1, 2, 3, 4], Loop(start=0, period=0)),
        ([7, 7, 7], Loop(start=0, period=1)),
        ([1, 2, 3, 2, 3, 2], Loop(start=1, period=2)),
        ([9, 8, 1, 2, 3, 1, 2, 3], Loop(start=2, period=3)),
        ([1, 2, 1, 2, 5], Loop(start=0, period=0)),
        ([], Loop(start=0, period=0)),
    ],
)
def test_a_loop_is_where_a_text_repeats_itself_to_its_end(ids, loop):
    assert loop_of(ids) == loop


@pytest.mark.parametrize(
    ("own", "controls", "verdict"),
    [
        ([1] * 40, [0] * 40, SUPPORTED),
        ([1] * 40, [1] * 40, UNDECIDED),  # true of any token
        ([0] * 40, [0] * 40, REFUTED),
        ([0, 1] * 20, [0] * 40, UNDECIDED),
        ([1, 1], [0] * 8, UNDECIDED),  # too few
        ([1] * 40, [], UNDECIDED),  # of any token, for all that is known
    ],
)
def test_a_share_is_held_against_one_half_and_against_the_controls(own, controls, verdict):
    claim = share("c", "m", np.array(own, bool), np.array(controls, bool))
    assert claim.verdict == verdict
    assert claim.low <= claim.estimate <= claim.high


def test_nearness_is_held_against_controls():
    rng = np.random.default_rng(0)
    near, far = rng.normal(1, 1, 60), rng.normal(4, 1, 200)
    assert lower("c", "m", near, far, rng).verdict == SUPPORTED
    assert lower("c", "m", far, near, rng).verdict == REFUTED
    assert lower("c", "m", far[:100], far[100:], rng).verdict == UNDECIDED


def test_nothing_printed_decides_nothing():
    none, some, rng = np.zeros(0), np.ones(3), np.random.default_rng(0)
    for claim in (
        share("c", "m", none.astype(bool), some.astype(bool)),
        lower("c", "m", none, some, rng),
        lower("c", "m", none, none, rng),
    ):
        assert (claim.verdict, claim.low, claim.high) == (UNDECIDED, 0, 1)
        assert np.isnan(claim.estimate)


def test_controls_are_neighbours_among_those_that_are_free():
    printed = np.array([10, 45, 90])
    free = np.setdiff1d(np.arange(100), [*printed, *range(40, 50)])
    controls = neighbours(printed, free, np.random.default_rng(0))
    assert len(np.unique(controls)) == len(controls) == 12
    assert set(controls) <= set(free.tolist())
    assert all(np.abs(printed - control).min() <= 40 for control in controls)
    assert neighbours(np.zeros(0, np.int64), free, np.random.default_rng(0)).tolist() == []


@pytest.mark.parametrize("kind", ROUNDINGS)
def test_rounded_weights_are_near_and_of_few_values(tiny, kind):
    model, _ = tiny
    ours, theirs = model.weights()["query"][0], rounded(model, kind).weights()["query"][0]
    step = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "Q8_0": 1 / 127, "Q4_1": 1 / 15}[kind]
    blocks = np.abs(np.asarray(ours)).reshape(-1, 32).max(-1, keepdims=True)
    error = np.abs(np.asarray(theirs - ours)).reshape(-1, 32)
    assert (error.max() > 0) == (kind != "float16"), "the embedded weights are float16 numbers"
    assert (error <= 1.1 * step * blocks).all()
    again = rounded(rounded(model, kind), kind).weights()["query"][0]
    np.testing.assert_allclose(again, theirs, atol=float(step * blocks.max()) / 20)


def test_shuffled_blocks_have_the_same_entries_in_another_order(tiny):
    model, _ = tiny
    before, after = model.weights(), shuffled(model, np.random.default_rng(0)).weights()
    assert jnp.array_equal(before["embedding"], after["embedding"])
    assert not jnp.array_equal(before["up"], after["up"])
    assert jnp.array_equal(jnp.sort(before["up"].ravel()), jnp.sort(after["up"].ravel()))


def test_a_model_that_prints_no_ordinary_token_leaves_every_claim_undecided(tiny, monkeypatch):
    model, tokenizer = tiny
    monkeypatch.setattr(module, "categories", lambda tokenizer, size: np.full(size, "special"))
    found = replicate(model, tokenizer, [], new_tokens=2)
    assert {claim.verdict for claim in found.claims} == {UNDECIDED}
    assert len(found.printed) == len(found.controls) == 0


def test_the_tiny_model_is_replicated(tiny, tmp_path):
    arguments = ["probe", "replicate", "tiny", "--max-new-tokens", "6", "--examined", "16", "--prompt", "Once", "--json"]
    done = CliRunner().invoke(group, arguments, standalone_mode=False)
    assert done.exception is None, done.output
    told = json.loads(done.stdout)
    model, tokenizer = tiny
    prompt = tokenizer.encode(PROMPT)
    # greedy on the mirrored row, step by step
    for step in range(3):
        logits = last_logits(model, [[*prompt, *told["texts"][0]["ids"][:step]]])[0]
        assert told["texts"][0]["ids"][step] == logits.argmin()
        logits = last_logits(model, [[*prompt, *told["ordinary"]["ids"][:step]]])[0]
        assert told["ordinary"]["ids"][step] == logits.argmax()
    assert len(told["claims"]) == 4
    assert all(claim["verdict"] in (SUPPORTED, REFUTED, UNDECIDED) for claim in told["claims"])
    assert set(told["printed"]).isdisjoint(told["controls"])
    assert set(told["stability"]) == set(ROUNDINGS)
    # what is printed was the smallest logit of some hidden state
    assert told["hull"]["interior"]["printed"] == 0
