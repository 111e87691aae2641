"""`samplerfuzz generate` on the embedded model: what is printed, what the numbers mean, what is refused."""

import io
import json
import math

import click
import jax.numpy as jnp
import numpy as np
import pytest

from samplerfuzz.cli import main as cli
from samplerfuzz.cli.decoding import breaking, describe, history_of, sample
from samplerfuzz.cli.generate import command as generate_command
from samplerfuzz.core.registry import load, offered
from samplerfuzz.llama.load_tokenizer import load_tokenizer
from samplerfuzz.llama.models import find
from samplerfuzz.samplers.given import chain_of

PROMPT = "Once there was a fox"
TOKENIZER = load_tokenizer(find("tiny").path)

pytestmark = pytest.mark.xdist_group("generate")


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main(["generate", *arguments])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return call


@pytest.fixture
def rows(run):
    """The JSON lines of a run."""

    def call(*arguments):
        status, out, err = run(*arguments, "--json")
        assert status == 0, err
        return [json.loads(line) for line in out.splitlines()]

    return call


def test_the_same_seed_writes_the_same_text(run):
    first, second, other = (run("tiny", PROMPT, "--seed", seed, "--max-new-tokens", "12") for seed in ("7", "7", "8"))
    assert first[0] == 0
    assert first[1] == second[1] != other[1]
    assert first[2].startswith("seed 7, 12 tokens in ")


def test_the_stream_is_the_text_of_the_ids(run, rows):
    arguments = ("tiny", PROMPT, "--seed", "7", "--max-new-tokens", "16")
    (row,) = rows(*arguments)
    assert run(*arguments)[1] == row["text"] + "\n"
    assert TOKENIZER.decode(row["ids"], skip_special=True) == row["text"]
    assert row["prompt_ids"] == TOKENIZER.encode(PROMPT)


@pytest.mark.parametrize("temperature", ["-0.001", "-1e-6"])
def test_a_little_below_zero_emits_the_argmin(rows, temperature):
    (row,) = rows("tiny", PROMPT, "--temperature", temperature, "--max-new-tokens", "8", "--seed", "1")
    assert [step["argmin"]["token"] for step in row["steps"]] == row["ids"]
    assert row["parameters"]["temperature"] == float(temperature)


@pytest.mark.parametrize("temperature", ["0.001", "0", "-0.0", "1e-45"])
def test_a_little_above_zero_emits_the_argmax(rows, temperature):
    (row,) = rows("tiny", PROMPT, "--temperature", temperature, "--max-new-tokens", "8", "--seed", "1")
    assert [step["argmax"]["token"] for step in row["steps"]] == row["ids"]


def test_the_numbers_of_a_step(rows):
    hot, cold = (rows("tiny", PROMPT, "--temperature", t, "--max-new-tokens", "1", "--seed", "1")[0]["steps"][0] for t in ("1", "-0.5"))
    assert hot["log_max_min_ratio"] * 2 == pytest.approx(cold["log_max_min_ratio"], rel=1e-5)
    assert (hot["argmin"], hot["argmax"], hot["kept"]) == (cold["argmin"], cold["argmax"], 2048)
    uniform = rows("tiny", PROMPT, "--temperature", "inf", "--max-new-tokens", "1")[0]
    assert uniform["steps"][0]["entropy"] == pytest.approx(math.log(2048), rel=1e-5)
    assert uniform["parameters"]["temperature"] == "inf"


def test_filters_apply_below_zero_too(rows):
    (row,) = rows("tiny", PROMPT, "--temperature", "-0.001", "--top-k", "1", "--max-new-tokens", "4")
    assert {step["kept"] for step in row["steps"]} == {1}


def test_what_describe_says_of_a_small_row():
    logits = jnp.array([[0.0, 1.0, 3.0, 9.0]])
    step = describe(logits, jnp.array([[0.0, 1.0, 3.0, -jnp.inf]]))
    weights = np.exp([0.0, 1.0, 3.0])
    shares = weights / weights.sum()
    assert float(step.entropy[0]) == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-5)
    assert (float(step.log_ratio[0]), int(step.argmin[0]), int(step.argmax[0]), int(step.kept[0])) == (3.0, 0, 2, 3)


def test_the_history_grows_by_what_is_drawn():
    import jax

    chain = chain_of({"temperature": 0.0})
    state = chain.begin(history_of([[1, 2, 3], [4]], 2))
    tokens, state, _ = sample(chain, jax.random.key(0), jnp.array([[0.0, 9.0], [9.0, 0.0]]), state)
    assert tokens.tolist() == [1, 0]
    assert [row[:length] for row, length in zip(state.history.tolist(), state.lengths.tolist(), strict=True)] == [[1, 2, 3, 1], [4, 0]]
    assert state.lengths.tolist() == [4, 2]
    assert state.prompt_lengths.tolist() == [3, 1]


def test_what_a_chain_remembers_lives_in_the_loop_a_row_at_a_time():
    import jax

    from samplerfuzz import llama
    from samplerfuzz.llama.load import load_model

    model, _ = load_model(find("tiny").path)
    remembering = {"mirostat_tau": 2.0, "mirostat_eta": 0.5, "mirostat": 2, "adaptive_target": 0.4, "adaptive_decay": 0.7}
    chain = chain_of({**remembering, "dry_multiplier": 1.0, "dry_base": 1.75, "dry_allowed_length": 2})

    def generated(prompts):
        state = chain.begin(history_of(prompts, 8))
        return llama.generate(
            model, prompts, sample=sample, sampler_params=chain, sampler_state=state, key=jax.random.key(1), max_new_tokens=8
        )

    prompts = [TOKENIZER.encode(PROMPT), TOKENIZER.encode("Anna")]
    together, alone = generated(prompts), generated(prompts[:1])
    assert together.rows()[0] == alone.rows()[0]
    assert set(together.state.memory) == {"mirostat", "adaptive_p"}
    for name, memory in together.state.memory.items():
        both, one = jax.tree.leaves(memory)[0], jax.tree.leaves(alone.state.memory[name])[0]
        np.testing.assert_allclose(both[0], one[0], rtol=1e-4)
        assert both[0] != both[1]


def test_a_breaker_is_every_token_that_contains_the_text():
    mask = breaking(TOKENIZER, ["fox", "\n"], TOKENIZER.vocab_size + 3)
    named = [
        token for token in range(TOKENIZER.vocab_size) if b"fox" in TOKENIZER.token_bytes(token) or b"\n" in TOKENIZER.token_bytes(token)
    ]
    assert np.flatnonzero(mask).tolist() == named
    assert named


def test_one_compilation_serves_every_value(rows):
    from samplerfuzz.llama import decoding

    rows("tiny", PROMPT, "--max-new-tokens", "4", "--seed", "3", "--top-k", "50")
    before = decoding._start._cache_size(), decoding._advance._cache_size()
    rows("tiny", "Anna", "--max-new-tokens", "7", "--seed", "4", "--temperature", "-3", "--top-k", "9")
    assert (decoding._start._cache_size(), decoding._advance._cache_size()) == before


def test_every_technique_that_numbers_describe_has_its_options():
    names = {option.name for option in generate_command.params}
    assert {parameter.name for item in offered() for parameter in item.parameters if parameter.is_number} <= names
    assert all(option.help.strip(".") for option in generate_command.params if isinstance(option, click.Option))


@pytest.mark.parametrize("item", offered(), ids=lambda item: item.name)
def test_only_what_is_not_neutral_is_in_the_chain(item):
    neutral = {p.name: p.neutral for other in offered() for p in other.parameters}
    assert len(chain_of(neutral).stages) == len(chain_of({}).stages) == 1
    first = item.parameters[0]
    value = first.common[0] if first.common[0] != first.neutral else first.common[1]
    owns_the_temperature = "temperature" in {p.name for p in item.parameters}
    usual = {p.name: p.usual for p in item.parameters if p.usual is not None}
    chain = chain_of({**neutral, **usual, first.name: min(value, 9)})
    assert len(chain.stages) == (1 if owns_the_temperature else 2)
    assert type(load(item.sampler)(**{first.name: 1.0})) in map(type, chain.stages)


def test_a_batch_file_gives_a_row_a_line(run, rows, tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text(f"Anna\n\n{PROMPT}\n")
    arguments = ("tiny", "--batch-file", str(file), "--max-new-tokens", "6", "--temperature", "0")
    batch = rows(*arguments)
    assert [row["prompt"] for row in batch] == ["Anna", PROMPT]
    assert batch[1]["ids"] == rows("tiny", PROMPT, "--max-new-tokens", "6", "--temperature", "0")[0]["ids"]
    assert run(*arguments)[1] == "".join(f"[{index}] {row['text']}\n" for index, row in enumerate(batch))


def test_a_dash_reads_standard_input(rows, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(PROMPT + "\n"))
    assert rows("tiny", "-", "--max-new-tokens", "1")[0]["prompt"] == PROMPT


def test_an_empty_prompt_begins_with_the_begin_token(rows):
    assert rows("tiny", "", "--max-new-tokens", "1")[0]["prompt_ids"] == [0]


def test_control_characters_of_a_model_are_escaped(run, monkeypatch):
    from samplerfuzz.llama.tokenizer import TextStream

    monkeypatch.setattr(TextStream, "feed", lambda self, token: "\x1b[2J\n")
    assert run("tiny", PROMPT, "--max-new-tokens", "1", "--seed", "1")[1] == "\\x1b[2J\n\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tinny", "x"], "did you mean 'tiny'"),
        (["tiny"], "expected either PROMPT or --batch-file"),
        (["tiny", "x", "--batch-file", "y"], "expected either PROMPT or --batch-file"),
        (["tiny", "--batch-file", "nowhere.txt"], "expected UTF-8 text, one prompt a line"),
        (["tiny", "x", "--temperature", "nan"], "'nan': expected a number from -inf to inf, the infinities included"),
        (["tiny", "x", "--temperature", "warm"], "'warm': expected a number"),
        (["tiny", "x", "--top-p", "0"], "'0': expected a number above 0 to 1, finite"),
        (["tiny", "x", "--min-p", "1.5"], "'1.5': expected a number from 0 to 1, finite"),
        (["tiny", "x", "--presence-penalty", "inf"], "expected a number from -inf to inf, finite"),
        (["tiny", "x", "--top-k", "-1"], "-1 is not in the range"),
        (["tiny", "x", "--max-new-tokens", "1000"], "expected at most"),
        (["tiny", "\ud800"], "lone surrogate"),
    ],
)
def test_what_cannot_be_done_is_a_usage_error(run, arguments, message):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert message in err
