"""A batch: its rows are what they would be alone, whoever computes them and however often it is begun again."""

import json

import numpy as np
import pytest

from samplerfuzz.core.errors import UsageError
from samplerfuzz.llama.forward import logits_all
from samplerfuzz.llama.load import load_model
from samplerfuzz.llama.load_tokenizer import load_tokenizer
from samplerfuzz.llama.models import find
from samplerfuzz.probe.batch import program, shards
from samplerfuzz.probe.batch.merge import merge
from samplerfuzz.probe.batch.plan import Plan, plan_of
from samplerfuzz.probe.batch.run import run
from samplerfuzz.probe.batch.sharding import mesh_of, spread

PATH = find("tiny").path
TOKENIZER = load_tokenizer(PATH)
TEXTS = ["Once there was a clever fox", "The price is", "1, 2, 3"]
CONFIGURATIONS = [{"temperature": -0.001}, {"temperature": 0.8, "top_p": 0.9}, {"temperature": 0.0, "repetition_penalty": 1.5}]

pytestmark = pytest.mark.xdist_group("probe_batch")


@pytest.fixture(scope="module")
def mesh():
    return mesh_of(1)


@pytest.fixture(scope="module")
def model(mesh):
    return spread(load_model(PATH)[0], mesh)


def plan(**changes):
    given = {
        "prompts": TEXTS, "ids": [TOKENIZER.encode(text) for text in TEXTS], "configurations": CONFIGURATIONS, "seeds": [0, 7], "new_tokens": 6,
        "block": 4, "has_steps": True, "computed_by": {"model_sha256": "m"},
    }  # fmt: skip
    return Plan(**{**given, **changes})


def rows_of(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="ascii").splitlines()]


@pytest.fixture(scope="module")
def traced():
    return []


@pytest.fixture(scope="module")
def done(model, mesh, traced, tmp_path_factory):
    folder = tmp_path_factory.mktemp("batch")
    original = program.run_block

    def counted(*arguments, **options):
        traced.append(1)
        return original(*arguments, **options)

    program.compiled.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "run_block", counted)
        run(model, TOKENIZER, plan(), folder, mesh)
    merge(plan(), folder)
    return folder


def test_every_prompt_under_every_configuration_with_every_seed_is_a_row(done):
    assert [(row["row"], row["prompt"], row["configuration"], row["seed"]) for row in rows_of(done)] == [
        (6 * p + 2 * c + s, p, c, seed) for p in range(3) for c in range(3) for s, seed in enumerate((0, 7))
    ]


def test_five_batches_the_last_of_them_short_are_one_compilation(done, traced):
    assert len(list(done.glob("shard-*.jsonl"))) == 5
    assert len(traced) == 1


def test_rows_at_a_limit_of_temperature_are_what_the_model_likes_least(done, model):
    for row in rows_of(done):
        if row["configuration"] == 0:
            prompt = TOKENIZER.encode(TEXTS[row["prompt"]])
            logits = np.asarray(logits_all(model, [[*prompt, *row["ids"]]])[0])[len(prompt) - 1 : -1]
            assert row["ids"] == logits.argmin(-1).tolist()


def test_numbers_of_a_row_are_those_of_the_model(done, model):
    row = rows_of(done)[2]
    prompt = TOKENIZER.encode(TEXTS[0])
    logits = np.asarray(logits_all(model, [[*prompt, *row["ids"]]])[0], np.float64)[len(prompt) - 1 : -1]
    logs = logits - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True)) - logits.max(-1, keepdims=True)
    np.testing.assert_allclose(row["steps"]["model_surprisal"], -logs[np.arange(6), row["ids"]], atol=2e-4)
    np.testing.assert_allclose(row["steps"]["model_entropy"], -(np.exp(logs) * logs).sum(-1), atol=2e-4)
    assert row["mean_model_surprisal"] == np.mean(row["steps"]["model_surprisal"])


def test_a_row_depends_on_its_own_prompt_configuration_and_seed_alone(done, model, mesh, tmp_path):
    turned = plan(
        prompts=TEXTS[:0:-1], ids=[TOKENIZER.encode(text) for text in TEXTS[:0:-1]], configurations=CONFIGURATIONS[::-1], seeds=[7, 3]
    )  # fmt: skip
    run(model, TOKENIZER, turned, tmp_path, mesh)
    merge(turned, tmp_path)
    before = {(row["prompt"], row["configuration"], row["seed"]): row["ids"] for row in rows_of(done)}
    same = [row for row in rows_of(tmp_path) if row["seed"] == 7]
    assert len(same) == 6
    for row in same:
        assert row["ids"] == before[2 - row["prompt"], 2 - row["configuration"], 7]


def test_seeds_and_prompts_draw_differently_and_configurations_on_the_same_luck(model, mesh, tmp_path):
    hot = plan(
        prompts=["x", "x", "y"],
        ids=[[40], [40], [41]],
        configurations=[{"temperature": float("inf")}, {"temperature": -1e30}, {"repetition_penalty": 1.5, "top_p": 0.9}],
    )
    run(model, TOKENIZER, hot, tmp_path, mesh)
    merge(hot, tmp_path)
    ids = {(row["prompt"], row["configuration"], row["seed"]): row["ids"] for row in rows_of(tmp_path)}
    assert ids[0, 0, 0] == ids[0, 1, 0] == ids[1, 0, 0]  # uniform in both, and a prompt is its tokens
    assert ids[0, 0, 0] != ids[0, 0, 7]
    assert ids[0, 0, 0] != ids[2, 0, 0]


def test_a_batch_that_was_broken_off_goes_on_with_what_is_missing(done, model, mesh, tmp_path, monkeypatch):
    original, written = shards.write_shard, []

    def breaking(folder, process, sha256, blocks, lines):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(original(folder, process, sha256, blocks, lines))

    monkeypatch.setattr("samplerfuzz.probe.batch.run.write_shard", breaking)
    with pytest.raises(KeyboardInterrupt):
        run(model, TOKENIZER, plan(), tmp_path, mesh)
    with pytest.raises(UsageError, match=r"10 of 18 rows are not here"):
        merge(plan(), tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in written}
    monkeypatch.setattr("samplerfuzz.probe.batch.run.write_shard", original)
    told = []
    run(model, TOKENIZER, plan(), tmp_path, mesh, tell=lambda done, of: told.append((done, of)))
    merge(plan(), tmp_path)
    assert told == [(8, 18), (12, 18), (16, 18), (18, 18)]
    assert {path: path.stat().st_mtime_ns for path in written} == stamps
    for name in ("results.jsonl", "summary.json"):
        assert (tmp_path / name).read_bytes() == (done / name).read_bytes()


def test_what_a_killed_run_was_writing_is_no_result(done, tmp_path):
    whole = sorted(done.glob("shard-*.jsonl"))
    for path in whole[:-1]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / f".{whole[-1].name}.4711").write_bytes(whole[-1].read_bytes()[:-20])
    assert set(shards.finished(tmp_path, plan().sha256)) == {0, 1, 2, 3}


def test_a_shard_that_lost_a_line_is_told(done, tmp_path):
    for path in done.glob("shard-*.jsonl"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    hurt = next(tmp_path.glob("*-000001.jsonl"))
    hurt.write_text("".join(hurt.read_text(encoding="ascii").splitlines(keepends=True)[:-1]), encoding="ascii")
    with pytest.raises(UsageError, match=r"block 1 has 3 rows, expected 4"):
        merge(plan(), tmp_path)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"seeds": [0, 8]}, "seeds"), ({"new_tokens": 5}, "max_new_tokens"), ({"block": 3}, "batch_size"),
        ({"configurations": CONFIGURATIONS[:2]}, "configurations"), ({"computed_by": {"model_sha256": "n"}}, "model_sha256"),
    ],
)  # fmt: skip
def test_another_plan_does_not_go_on_in_the_same_directory(done, model, mesh, changes, word):
    with pytest.raises(UsageError, match=f"holds another batch: {word} differ"):
        run(model, TOKENIZER, plan(**changes), done, mesh)
    with pytest.raises(UsageError, match="belongs to another batch"):
        shards.finished(done, plan(**changes).sha256)


def test_a_plan_is_known_by_its_hash_again():
    hot = plan(configurations=[{"temperature": float("-inf"), "top_k": 3.0}])
    assert plan_of(json.loads(json.dumps(hot.to_json()))).sha256 == hot.sha256
    assert hot.sha256 != plan().sha256


def test_a_prompt_that_leaves_no_room_is_told(model, mesh, tmp_path):
    long = plan(prompts=["a", "b"], ids=[[5], [5] * model.config.max_position])
    with pytest.raises(UsageError, match=r"prompt 1 has \d+ tokens"):
        run(model, TOKENIZER, long, tmp_path, mesh)


def test_the_summary_counts_what_the_rows_hold(done):
    summary = json.loads((done / "summary.json").read_text(encoding="ascii"))
    for index, entry in enumerate(summary["configurations"]):
        rows = [row for row in rows_of(done) if row["configuration"] == index]
        assert entry["parameters"] == CONFIGURATIONS[index]
        assert entry["rows"] == len(rows) == 6
        assert entry["tokens"] == sum(len(row["ids"]) for row in rows)
        assert entry["looping"] == sum(row["loop"] is not None for row in rows)
        assert entry["distinct_tokens"] == len({i for row in rows for i in row["ids"]})
        assert entry["first_text"] == rows[0]["text"]
        surprisals = [value for row in rows for value in row["steps"]["surprisal"]]
        assert entry["mean_surprisal"] == pytest.approx(np.mean(surprisals))
