"""Engines take turns on the same prompts; what is not there is named, and what is told adds up."""

import json
from contextlib import contextmanager

import pytest

from samplerfuzz.bench import language_models
from samplerfuzz.bench.language_models import compare
from samplerfuzz.bench.peers.language_model import LANGUAGE_MODELS
from samplerfuzz.bench.peers.peer import OURS, Absent
from samplerfuzz.cli import main as cli
from samplerfuzz.core.errors import UsageError
from samplerfuzz.llama.models import find

pytestmark = pytest.mark.xdist_group("bench_models")


class Engine:
    """Each call takes twice as long as the one before; it says fixed tokens."""

    def __init__(self, said, begun, calls):
        self.said, self.seconds, self.calls = said, begun, calls

    def _took(self, *told):
        self.calls.append(told)
        self.seconds *= 2
        return self.seconds

    def decode(self, prompts, steps):
        return self._took("decode", [len(prompt) for prompt in prompts], steps)

    def prefill(self, prompt):
        return self._took("prefill", len(prompt))

    def greedy(self, prompt, count):
        return self.said[:count]


class Peer:
    """A peer with that engine."""

    def __init__(self, name, calls, said):
        self.name, self.calls, self.said = name, calls, said

    def version(self):
        return "1"

    def how(self):
        return "by magic"

    def lacks(self, model):
        return "it is picky" if self.name == "llama.cpp" else ""

    @contextmanager
    def load(self, model, rows, positions):
        assert (rows, positions) == (3, 42)
        yield Engine(self.said, 1.0 if self.name == OURS else 3.0, self.calls)


@pytest.fixture
def told(monkeypatch):
    calls = []

    def found(known):
        if known.name == "llama.cpp float32":
            return Absent(name=known.name, why="not installed", install="pip install it")
        return Peer(known.name, calls, list(range(16)) if known.name == OURS else [0, 1, 2, 9, *range(12)])

    monkeypatch.setattr(language_models, "found", found)
    told = compare(find("tiny").path, list(range(10)), rows=[1, 3], steps=4, rounds=3, long=40)
    return told, calls


def test_every_engine_does_the_same_work_in_turn(told):
    _, calls = told
    once = [("prefill", 16), ("prefill", 40), ("decode", [16], 4), ("decode", [16] * 3, 4)]
    assert calls == [call for call in once for _ in range(2 * (1 + 3))]


def test_the_first_call_is_told_apart_and_ratios_are_those_of_the_medians(told):
    first, *_, last = told[0]["lines"]
    assert first["first"] == {OURS: 2.0, "transformers": 6.0}
    assert first["median"] == {OURS: 8.0, "transformers": 24.0}
    assert first["rates"] == {OURS: 2.0, "transformers": 16 / 24}
    assert first["ratios"] == {"transformers": 3.0}
    assert last["tokens"] == 12


def test_who_cannot_take_part_is_named_and_who_says_something_else_is_told(told):
    assert [(item["name"], item["why"]) for item in told[0]["absent"]] == [
        ("llama.cpp", "it is picky"),
        ("llama.cpp float32", "not installed"),
    ]
    assert told[0]["same_greedy_tokens"] == {OURS: 16, "transformers": 3}
    json.dumps(told[0])


def test_an_unknown_peer_is_a_usage_error():
    with pytest.raises(UsageError, match=r"no peer 'gpt'; known: samplerfuzz, transformers, llama\.cpp"):
        compare(find("tiny").path, [1], steps=1, rounds=1, peers=["gpt"])


def test_every_engine_but_this_one_says_how_to_install_it():
    assert all(bool(item.install) == (item.name != OURS) == bool(item.needs) for item in LANGUAGE_MODELS)


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(["bench", *arguments])
    assert not ended.value.code
    return capsys.readouterr().out


def test_the_embedded_model_is_timed_by_the_command(capsys, tmp_path):
    options = ("--rows", "2", "--steps", "3", "--rounds", "1", "--prompt-tokens", "9", "--out", str(tmp_path / "speed"))
    out = run(capsys, "llama", "tiny", *options)
    assert "decode 2 rows" in out
    written = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert [line["work"] for line in written["lines"]] == ["first token after 16", "prefill of 9", "decode 2 rows"]
    assert all(line["first"][OURS] > 0 and line["median"][OURS] > 0 for line in written["lines"])
    assert written["machine"]["cores"] >= 1


def test_probing_is_counted_by_the_command(capsys):
    told = json.loads(run(capsys, "probe", "tiny", "--rows", "16", "--max-new-tokens", "3", "--ids", "65", "--rounds", "1", "--json"))
    assert told["census"]["ids"] == 65
    assert told["census"]["ids_per_second"] == 65 / told["census"]["median"]
    assert told["batch"]["rows"] == 32
    assert 32 <= told["batch"]["tokens"] <= 96
    assert told["batch"]["rows_per_second"] == 32 / told["batch"]["median"]
