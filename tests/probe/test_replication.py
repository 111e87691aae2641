"""The replication says what it found, with controls, and claims nothing that its interval does not carry."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from samplerfuzz.cli.main import group
from samplerfuzz.llama.load import load_model
from samplerfuzz.llama.load_tokenizer import load_tokenizer
from samplerfuzz.llama.models import find
from samplerfuzz.probe import replication
from samplerfuzz.probe.atlas import last_logits
from samplerfuzz.probe.loops import Loop, loop_of
from samplerfuzz.probe.replication import PROMPT, REFUTED, SUPPORTED, UNDECIDED


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
    ],
)
def test_a_share_is_held_against_one_half_and_against_the_controls(own, controls, verdict):
    claim = replication._share("c", "m", np.array(own, bool), np.array(controls, bool))
    assert claim.verdict == verdict
    assert claim.low <= claim.estimate <= claim.high


def test_nearness_is_held_against_controls():
    rng = np.random.default_rng(0)
    near, far = rng.normal(1, 1, 60), rng.normal(4, 1, 200)
    assert replication._nearer("c", near, far, rng).verdict == SUPPORTED
    assert replication._nearer("c", far, near, rng).verdict == REFUTED
    assert replication._nearer("c", far[:100], far[100:], rng).verdict == UNDECIDED


def test_controls_are_ordinary_neighbours_that_are_not_printed():
    kinds = np.array(["ordinary"] * 100)
    kinds[40:50] = "special"
    printed = np.array([10, 45, 90])
    controls = replication._neighbours(printed, kinds, np.random.default_rng(0))
    assert len(np.unique(controls)) == len(controls) == 12
    assert not set(controls) & {*printed, *range(40, 50)}
    assert all(np.abs(printed - control).min() <= 40 for control in controls)


def test_the_tiny_model_is_replicated(tmp_path):
    done = CliRunner().invoke(group, ["probe", "replicate", "tiny", "--max-new-tokens", "8", "--json"], standalone_mode=False)
    assert done.exception is None, done.output
    told = json.loads(done.stdout)
    path = find("tiny").path
    model, _ = load_model(path)
    tokenizer = load_tokenizer(path)
    prompt = tokenizer.encode(PROMPT)
    # greedy on the mirrored row, step by step
    for step in range(3):
        logits = last_logits(model, [[*prompt, *told["inverted"][:step]]])[0]
        assert told["inverted"][step] == logits.argmin()
        logits = last_logits(model, [[*prompt, *told["ordinary"][:step]]])[0]
        assert told["ordinary"][step] == logits.argmax()
    assert len(told["claims"]) == 3
    assert all(claim["verdict"] in (SUPPORTED, REFUTED, UNDECIDED) for claim in told["claims"])
    assert set(told["printed"]).isdisjoint(told["controls"])
