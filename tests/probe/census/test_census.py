"""The census tells the tokens that a model does not know, and says when it cannot tell."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner

from samplerfuzz.cli.main import group
from samplerfuzz.core.errors import ParameterError, UsageError
from samplerfuzz.llama import LlamaConfig, LlamaModel, random_weights
from samplerfuzz.llama.forward import logits_all
from samplerfuzz.llama.load_tokenizer import load_tokenizer
from samplerfuzz.llama.models import find
from samplerfuzz.llama.truth import embedded_truth
from samplerfuzz.probe.census import verification
from samplerfuzz.probe.census.categories import categories
from samplerfuzz.probe.census.census import Plan, _nearest, census, score
from samplerfuzz.probe.census.indicators import auc, indicators
from samplerfuzz.probe.census.registry import FORMAT, AnomalousTokens, load_registry
from samplerfuzz.probe.census.verification import Prompt, Verified, verify

CONFIG = LlamaConfig(
    vocab_size=40, hidden_size=16, intermediate_size=32, num_layers=2, num_heads=2, num_kv_heads=1, head_dim=8,
    rope_theta=10_000.0, tie_embeddings=True, max_position=64,
)  # fmt: skip
PROMPTS = [Prompt(beginning=[1, 2, 3], between=[4]), Prompt(beginning=[5], between=[6, 7])]


@pytest.fixture(scope="module")
def model():
    return LlamaModel(CONFIG, random_weights(CONFIG, jax.random.key(0)))


def test_the_indicators_of_four_rows_are_those_of_paper_and_pencil():
    rows = np.array([[3.0, 4.0], [0.0, 2.0], [0.0, 2.0], [1.0, 0.0]])
    found = indicators(rows, np.array([1, 2]))
    np.testing.assert_allclose(found["norm"], [5, 2, 2, 1])
    np.testing.assert_allclose(found["cosine"], [1 - 4 / 5, 0, 0, 1], atol=1e-15)
    np.testing.assert_allclose(found["distance"], [math.hypot(3, 2), 0, 0, math.hypot(1, 2)])
    np.testing.assert_allclose(found["centroid"], [math.hypot(2, 2), 1, 1, 2])
    # centred: (2, 2), (−1, 0), (−1, 0), (0, −2); unused: (−1, 0)
    np.testing.assert_allclose(found["centred"], [1 + 1 / math.sqrt(2), 0, 0, 1])
    # in the plane one direction is left beside the first component: every row lies along it or against it
    assert set(np.round(found["without_pc1"], 9)) <= {0.0, 2.0}
    assert found["combined"][1] == found["combined"][2] == min(found["combined"])


def test_without_an_unused_id_there_is_nothing_to_measure_from():
    with pytest.raises(ParameterError, match="at least one id"):
        indicators(np.eye(3), np.array([], int))


@pytest.mark.parametrize(
    ("values", "positive", "expected"),
    [([1, 2, 3], [1, 0, 0], 1.0), ([1, 2, 3], [0, 0, 1], 0.0), ([1, 1, 1], [1, 0, 0], 0.5), ([1, 2], [1, 1], math.nan)],
)
def test_auc_is_the_share_of_pairs_in_the_right_order(values, positive, expected):
    assert auc(np.array(values, float), np.array(positive, bool)) == pytest.approx(expected, nan_ok=True)


def test_a_probability_is_that_of_the_whole_text_computed_without_a_cache(model):
    ids = np.array([9, 17, 30])
    got = verify(model, PROMPTS, ids, batch=2)
    for row, token in enumerate(ids):
        for number, prompt in enumerate(PROMPTS):
            text = [*prompt.beginning, *[token, *prompt.between] * verification.PLACES]
            p = np.asarray(jax.nn.softmax(logits_all(model, np.array([text])), -1))[0]
            every = 1 + len(prompt.between)
            places = [len(prompt.beginning) + every * (n + 1) - 1 for n in range(verification.PLACES)]
            np.testing.assert_allclose(got.p[row, number], p[places, token], rtol=1e-4)


def test_a_run_that_was_killed_goes_on_and_loses_nothing(model, tmp_path, monkeypatch):
    ids, file = np.arange(2, 22), tmp_path / "answers.jsonl"
    whole = verify(model, PROMPTS, ids, batch=4)
    ask, calls = verification._asked, []

    def dies(*arguments):
        calls.append(arguments)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return ask(*arguments)

    monkeypatch.setattr(verification, "_asked", dies)
    with pytest.raises(KeyboardInterrupt):
        verify(model, PROMPTS, ids, file=file, batch=4)
    # and the last line was torn
    file.write_bytes(file.read_bytes() + b'{"ids": [14, 15')
    calls.clear()
    monkeypatch.setattr(verification, "_asked", lambda *arguments: calls.append(arguments) or ask(*arguments))
    resumed = verify(model, PROMPTS, ids, file=file, batch=4)
    assert len(calls) == 2 * 2
    np.testing.assert_allclose(resumed.p, whole.p, rtol=1e-5, atol=1e-9)
    assert sum(len(json.loads(line)["ids"]) for line in file.read_text().splitlines()) == len(ids)


def test_a_file_of_something_else_is_refused(model, tmp_path):
    (tmp_path / "answers.jsonl").write_text('{"ids": [3], "p": [[0.5]]}\n')
    with pytest.raises(UsageError, match="line 1: no result"):
        verify(model, PROMPTS, np.array([3]), file=tmp_path / "answers.jsonl")


def test_rows_that_no_hidden_state_looks_at_are_told_from_the_others(model):
    weights = dict(model.weights())
    rng = np.random.default_rng(0)
    rows = np.asarray(weights["embedding"]).copy()
    dead = np.array([3, 11, 25])
    rows[dead] = 0.05 * rng.normal(size=(3, 16)) + 1.0
    weights["embedding"] = jnp.asarray(rows)
    found = indicators(rows, dead[:1])
    others = np.setdiff1d(np.arange(40), dead[:1])
    assert auc(found["combined"][others], np.isin(others, dead)) == 1.0


def test_an_indicator_is_held_against_the_answers():
    asked = Verified(ids=np.arange(10), p=np.array([0.001, 0.002, *[0.5] * 8])[:, None, None])
    category = np.array(["ordinary"] * 9 + ["special"])
    got = score("x", np.array([0, 2, 9]), np.arange(10.0), asked, np.arange(10), category)
    assert (got.candidates, got.verified, got.recall, got.precision) == (2, 1, 0.5, 0.5)
    assert got.auc == 1.0
    # Wilson, 1 of 2: (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n) with z = 1.96
    assert (round(got.low, 4), round(got.high, 4)) == (0.0945, 0.9055)
    # id 1 stands beside both candidates, and cannot be said either
    assert (got.matched, round(got.matched_low, 4), got.matched_high) == (1.0, 0.2065, 1.0)


@pytest.mark.parametrize(
    ("candidates", "controls", "nearest"),
    [
        ([5, 50, 99], [1, 4, 7, 47, 49, 60], [4, 49, 60]),
        ([0, 1, 2], [10, 20], [10]),
        ([5], [5, 9], [9]),
        ([5], [5], []),
        ([], [5], []),
    ],
)
def test_matched_controls_have_the_nearest_ids(candidates, controls, nearest):
    assert _nearest(np.array(candidates, np.int64), np.array(controls)).tolist() == nearest


@pytest.mark.xdist_group("probe")
def test_the_embedded_model_is_told_apart_by_its_combined_score():
    path = find("tiny").path
    tokenizer = load_tokenizer(path)
    from samplerfuzz.llama.load import load_model

    loaded, _ = load_model(path)
    taken = census(loaded, tokenizer, ["Once there was a"], plan=Plan(share=0.001, controls=64, contexts=64))
    truth = embedded_truth()
    others = np.setdiff1d(np.arange(len(truth.counts)), taken.unused)
    assert truth.never[taken.unused].all()
    assert auc(taken.indicators["combined"][others], truth.never[others]) >= 0.98
    assert taken.contexts.argmin.sum() == taken.contexts.count >= 64
    # it was never taught to repeat, and says so instead of accusing its vocabulary
    assert not taken.repeats
    assert len(taken.anomalous) == 0


def test_kinds_of_tokens():
    tokenizer = load_tokenizer(find("tiny").path)
    kinds = categories(tokenizer, tokenizer.vocab_size + 2)
    assert kinds[0] == "special"
    assert kinds[-2:].tolist() == ["padding", "padding"]
    assert kinds[tokenizer.encode("a")[0]] == "ordinary"
    byte = next(i for i in range(tokenizer.vocab_size) if tokenizer.token_bytes(i) == b"\xff")
    assert kinds[byte] == "undecodable"


def test_a_registry_is_read_as_it_was_written(tmp_path):
    registry = AnomalousTokens(model="m", model_sha256="a", tokenizer_sha256="b", threshold=0.01, tokens={7: 1e-4}, texts={7: "x"})
    (tmp_path / "registry.json").write_text(json.dumps(registry.to_json()))
    assert load_registry(tmp_path / "registry.json") == registry


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a registry.json"),
        ("[]", "found 'list'"),
        ('{"format": "other"}', "found 'other'"),
        (json.dumps({"format": FORMAT}), "take the census again"),
        (json.dumps({"format": FORMAT, "tokens": [{"id": -1, "p": 0.1, "text": ""}]}), "token -1"),
        (json.dumps({"format": FORMAT, "tokens": [{"id": 1, "p": math.nan, "text": ""}]}), "expected an id"),
        (json.dumps({"format": FORMAT, "tokens": [{"id": True, "p": 0.1, "text": ""}]}), "token True"),
    ],
)
def test_a_malformed_registry_is_a_clear_error(tmp_path, text, words):
    (tmp_path / "registry.json").write_text(text)
    with pytest.raises(UsageError, match=words):
        load_registry(tmp_path / "registry.json")


@pytest.mark.xdist_group("probe")
def test_the_command_writes_what_it_found_and_goes_on(tmp_path):
    arguments = ["probe", "census", "tiny", "--share", "0.002", "--controls", "20", "--contexts", "16", "--report-dir", str(tmp_path)]
    for _ in range(2):
        done = CliRunner().invoke(group, arguments, standalone_mode=False)
        assert done.exception is None, done.output
        assert "the model does not repeat" in done.output
        assert "combined" in done.output
    data = json.loads((tmp_path / "census.json").read_text())
    assert data["vocabulary"] == 2048
    assert data["repeats"] is False
    assert load_registry(tmp_path / "registry.json").tokens == {}
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert sum(len(line["ids"]) for line in lines) == data["asked"]
