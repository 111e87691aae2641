"""The comparison times what the oracle agreed with, names what is not there, and says under what conditions."""

import json

import numpy as np
import pytest

from samplerfuzz.bench.chart import can_draw, draw
from samplerfuzz.bench.compare import compare
from samplerfuzz.bench.document import markdown
from samplerfuzz.bench.peers.peer import OURS, PEERS, Absent, Known, found
from samplerfuzz.bench.verify import WrongResultError, beliefs, verify
from samplerfuzz.bench.workloads import WORKLOADS, language_like_logits
from samplerfuzz.core.errors import UsageError

COMMON, _, RATIO, _, MIX = WORKLOADS


@pytest.fixture(scope="module")
def comparison():
    return compare([RATIO, MIX], [3], [64], seconds=0.0, seed=1, peers=["jax"])


def test_every_line_has_times_of_each_peer_and_their_ratio(comparison):
    assert [(line.workload, line.rows) for line in comparison.lines] == [(RATIO, 3), (MIX, 3)]
    for line in comparison.lines:
        assert set(line.times) == {OURS, "jax"}
        for times in line.times.values():
            assert 0 < times.least <= times.quartiles[0] <= times.median <= times.quartiles[1]
            assert times.calls >= 5
        assert line.ratios == {"jax": line.times["jax"].median / line.times[OURS].median}


def test_the_machine_is_described_and_not_named(comparison):
    machine = comparison.conditions["machine"]
    assert machine["cores"] >= 1
    assert machine["processor"]
    assert set(machine) == {"processor", "cores", "threads_per_core", "memory_gib", "caches", "system", "python"}


def test_the_json_is_plain_and_complete(comparison):
    read = json.loads(json.dumps(comparison.as_json()))
    assert read["format"] == 1
    assert read["lines"][1]["ratios"] == comparison.lines[1].ratios
    assert set(read["peers"]) == {OURS, "jax"}


def test_the_document_has_a_row_for_every_line(comparison):
    text = markdown(comparison, "speed.svg")
    for line in comparison.lines:
        assert f"| {line.workload} | {line.rows} | {line.vocabulary} | " in text
    assert "![Times beside each other](speed.svg)" in text


@pytest.mark.skipif(not can_draw(), reason="matplotlib is optional")
def test_the_picture_is_drawn(comparison, tmp_path):
    draw(comparison, tmp_path / "speed.svg")
    assert (tmp_path / "speed.svg").read_text(encoding="utf-8").count(RATIO) == 1


def test_a_peer_that_is_not_there_is_named_with_the_line_that_installs_it():
    absent = found(Known(name="elsewhere", module="no_such_peer", needs=("no_such_library",), install="pip install no_such_library"))
    assert isinstance(absent, Absent)
    assert (absent.name, absent.install) == ("elsewhere", "pip install no_such_library")
    assert "no_such_library" in absent.why


def test_every_peer_that_needs_a_library_says_how_to_install_it():
    assert all(peer.install for peer in PEERS if peer.needs)


@pytest.mark.parametrize(("workloads", "peers"), [(["no such"], None), ([COMMON], ["no such"])])
def test_an_unknown_name_is_a_usage_error(workloads, peers):
    with pytest.raises(UsageError, match=r"no such.*known: "):
        compare(workloads, [1], [64], seconds=0.0, seed=1, peers=peers)


class Step:
    """What a peer gave."""

    def __init__(self, kept, tokens):
        self._kept, self.tokens = kept, tokens

    def __call__(self):
        return self.tokens

    def kept(self):
        return self._kept


def test_a_wrong_result_is_not_timed():
    belief = beliefs(WORKLOADS[COMMON], language_like_logits(2, 256, 1))
    right, best = belief.must.copy(), belief.must.argmax(-1)
    verify("right", Step(right, best), belief)
    missing, extra = right.copy(), right.copy()
    missing[1, best[1]] = False
    extra[0, np.flatnonzero(~belief.possible[0])[0]] = True
    with pytest.raises(WrongResultError, match=f"missing does not keep token {best[1]} of row 1"):
        verify("missing", Step(missing, best), belief)
    with pytest.raises(WrongResultError, match="extra keeps token"):
        verify("extra", Step(extra, best), belief)
    for token in (np.flatnonzero(~belief.possible[0])[0], -1, 256):
        with pytest.raises(WrongResultError, match=f"drawer drew token {token} in row 0"):
            verify("drawer", Step(right, np.array([token, best[1]])), belief)


def test_rows_are_like_those_of_a_language_model():
    """As ABOUT_ROWS says: a nucleus of a few tokens in most rows, and of very many in some."""
    logits = language_like_logits(64, 32000, 1).astype(np.float64) / 0.8
    p = np.sort(np.exp(logits - logits.max(-1, keepdims=True)), -1)[:, ::-1]
    sizes = ((p / p.sum(-1, keepdims=True)).cumsum(-1) < 0.9).sum(-1) + 1
    assert 4 <= np.median(sizes) <= 10
    assert 0.05 <= np.mean(sizes > 100) <= 0.25
