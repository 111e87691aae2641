"""Answers are read beside the bytes, whatever their shape and however they are cut; what is noticed is counted."""

import itertools
import json
import math

import pytest
from guarding import guarding
from hypothesis import given
from hypothesis import strategies as st
from stub_upstream import DOCUMENT, EVENTS, LOGPROBS

from samplerfuzz.probe.census.registry import AnomalousTokens
from samplerfuzz.safety.policy import Policy
from samplerfuzz.safety.proxy.answers import read
from samplerfuzz.safety.proxy.events import EventReader
from samplerfuzz.safety.proxy.logprobs import Stripper, asking
from samplerfuzz.safety.proxy.watching import Tap, step_statistics

CHAT = {"messages": [{"role": "user", "content": "x"}]}


def cut(body, places):
    ends = sorted({min(place, len(body)) for place in places} | {0, len(body)})
    return [body[a:b] for a, b in itertools.pairwise(ends)]


cuts = st.lists(st.integers(0, len(EVENTS)))


@given(cuts)
def test_events_are_the_same_however_they_are_cut(places):
    reader = EventReader()
    blocks = [block for piece in cut(EVENTS, places) for block in reader.feed(piece)]
    assert b"".join(block.raw for block in blocks) == EVENTS
    assert [block.data is None for block in blocks] == [False, True, False, False, False, False]
    assert blocks[3].data == b'{"choices": [{"index": 0,\n "delta": {"content": "lo \xc3\xa4"}}]}'


@given(st.lists(st.sampled_from([b"a", b"data: x", b"\n", b"\r", b"\r\n", b":"]), max_size=30), cuts)
def test_no_byte_of_a_stream_is_lost_or_doubled(parts, places):
    body = b"".join(parts)
    reader = EventReader()
    assert b"".join(block.raw for piece in cut(body, places) for block in reader.feed(piece)) + reader.rest() == body


@given(cuts)
def test_a_stream_says_its_text_however_it_is_cut(places):
    answer = read(cut(EVENTS, places), events=True)
    assert "".join(answer.choices[0].text) == "Hello ä"
    assert answer.usage == {"input": 3, "output": 2}
    assert answer.unreadable == 0


@pytest.mark.parametrize(
    ("body", "text", "tokens", "positions"),
    [
        (DOCUMENT, "Hello äHello", [], 0),
        (b'{"content": "ab", "tokens": [1, 2]}', "ab", [1, 2], 0),
        (json.dumps({"content": "a", "completion_probabilities": LOGPROBS["content"]}).encode(), "a", [7, 9], 2),
        (b'{"content": "a", "completion_probabilities": [{"id": 4, "top_probs": [{"prob": 1.0}, {"prob": 0}]}]}', "a", [4], 1),
        (json.dumps({"choices": [{"message": {"content": "ab"}, "logprobs": LOGPROBS}]}).encode(), "ab", [7, 9], 2),
        (b'{"choices": [{"text": "a", "token_ids": [3], "logprobs": {"top_logprobs": [null, {"a": -0.5, "b": -1}]}}]}', "a", [3], 1),
        (b'{"object": "response", "output": [{"content": [{"type": "output_text", "text": "hi"}]}]}', "hi", [], 0),
    ],
)
def test_every_shape_of_an_answer_is_read(body, text, tokens, positions):
    choice = read([body], events=False).choices[0]
    assert ("".join(choice.text), choice.tokens, len(choice.positions)) == (text, tokens, positions)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "index",
                    "text",
                    "delta",
                    "message",
                    "content",
                    "logprobs",
                    "top_logprobs",
                    "tokens",
                    "token_ids",
                    "usage",
                    "id",
                    "logprob",
                    "prob",
                    "prompt_tokens",
                    "completion_probabilities",
                    "output",
                    "object",
                    "type",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@given(JSON, st.booleans())
def test_whatever_is_answered_can_be_read(value, events):
    body = json.dumps(value).encode()
    answer = read([b"data: " + body + b"\n\n" if events else body], events=events)
    for choice in answer.choices.values():
        assert isinstance("".join(choice.text), str)
        assert all(type(token) is int for token in choice.tokens)
        for position in choice.positions:
            step_statistics(position)


@given(JSON, st.booleans())
def test_whatever_is_answered_can_be_stripped(value, events):
    body = json.dumps(value).encode()
    body = b"data: " + body + b"\n\n" if events else body
    stripper = Stripper(events=events, largest=10_000)
    out = b"".join([*stripper.feed(body), stripper.end()])
    if b"logprobs" not in body and b"completion_probabilities" not in body:
        assert out == body


def test_the_entropy_is_said_where_the_listed_tokens_hold_the_row():
    p = [0.7, 0.2, 0.095]
    rest = 1 - sum(p)
    found = step_statistics([math.log(x) for x in p])
    entropy = -sum(x * math.log(x) for x in (*p, rest))
    assert found["entropy"] == pytest.approx(entropy, rel=1e-12)
    assert found["varentropy"] == pytest.approx(sum(x * (-math.log(x) - entropy) ** 2 for x in (*p, rest)), rel=1e-12)
    assert step_statistics([math.log(0.5)])["entropy"] is None
    assert step_statistics([math.nan, 0.0])["nan"] == 1


def test_a_copy_ends_at_its_size():
    tap = Tap(10)
    for piece in (b"x" * 8, b"y" * 8, b"z"):
        tap.take(piece)
    assert tap.overflowed
    assert tap.pieces == [b"x" * 8]


@pytest.fixture
def registry(tmp_path):
    found = AnomalousTokens(
        model="m", model_sha256="", tokenizer_sha256="", threshold=0.01, tokens={7: 0.001, 8: 0.0}, texts={7: "seven", 8: "eight"}
    )
    (tmp_path / "registry.json").write_text(json.dumps(found.to_json()), encoding="utf-8")
    return tmp_path / "registry.json"


def test_anomalous_tokens_of_the_registry_are_counted(stub, registry):
    with guarding(stub.url, registry=registry) as guard:
        guard.post("/completion", {"prompt": "x"}, stub="anomalous")
        guard.settle()
        assert (guard.total("tokens"), guard.total("anomalous_tokens")) == (4, 2)
        assert guard.total("answer_anomalies", validator="anomalous tokens") == 1


def test_a_text_that_repeats_itself_is_noticed(stub):
    with guarding(stub.url) as guard:
        guard.post("/v1/completions", {"prompt": "x"})
        guard.post("/v1/completions", {"prompt": "x"}, stub="loops")
        guard.settle()
        assert guard.total("answer_anomalies", validator="repetition") >= 1
        assert guard.total("watched_answers") == 2


@pytest.mark.parametrize(("rate", "watched"), [(0.0, 0), (1.0, 3)])
def test_the_policy_says_how_many_answers_are_watched(stub, rate, watched):
    with guarding(stub.url, Policy(sampling_rate=rate)) as guard:
        for _ in range(3):
            guard.post("/v1/completions", {"prompt": "x"})
        guard.settle()
        assert guard.total("watched_answers") == watched


@pytest.mark.parametrize(("stub_does", "reason"), [("compressed", "encoded"), ("no-json", "unreadable"), ("oversized", "large")])
def test_an_answer_that_cannot_be_watched_is_counted(stub, stub_does, reason):
    import httpx

    with guarding(stub.url) as guard:
        with (
            httpx.Client(trust_env=False) as client,
            client.stream("POST", guard.url + "/v1/completions", json={"prompt": "x"}, headers={"x-stub": stub_does}) as answer,
        ):
            list(answer.iter_raw())
        guard.settle()
        assert guard.total("unwatched_answers", reason=reason) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities_that_the_guard_asked_for_are_taken_out_again(stub, stream):
    with guarding(stub.url, Policy(logprobs=True)) as guard:
        answer = guard.post("/v1/chat/completions", {**CHAT, "stream": stream}, stub="with-logprobs")
        asked = json.loads(stub.last().body)
        assert (asked["logprobs"], asked["top_logprobs"]) == (True, guard.parts.settings.logprobs_count)
        assert {name: asked[name] for name in (*CHAT, "stream")} == {**CHAT, "stream": stream}
        assert answer.headers["x-samplerfuzz-rewritten"] == "logprobs"
        assert "-2.3026" not in answer.text
        told = read([answer.content], events=stream).choices[0]
        assert ("".join(told.text), told.tokens, told.positions) == ("ab", [], [])
        assert answer.text.endswith("data: [DONE]\n\n") == stream
        guard.settle()
        assert guard.total("tokens") == (4 if stream else 2)
        assert guard.parts.metrics.registry.get_sample_value("samplerfuzz_guard_entropy_nats_count") > 0


def test_log_probabilities_that_the_client_asked_for_stay(stub):
    with guarding(stub.url, Policy(logprobs=True)) as guard:
        answer = guard.post("/v1/chat/completions", {**CHAT, "logprobs": True, "top_logprobs": 2}, stub="with-logprobs")
        assert answer.json()["choices"][0]["logprobs"] == LOGPROBS
        assert "x-samplerfuzz-rewritten" not in answer.headers


def test_a_server_that_refuses_log_probabilities_is_asked_again_as_the_client_did(stub):
    with guarding(stub.url, Policy(logprobs=True)) as guard:
        body = b'{"messages":  []}'
        for count in (2, 1):  # the second time the guard knows
            before = len(stub.asked)
            answer = guard.post("/v1/chat/completions", body, stub="refuses-logprobs")
            assert (answer.status_code, answer.content) == (200, DOCUMENT)
            assert stub.last().body == body
            assert len(stub.asked) - before == count
        assert guard.post("/v1/chat/completions", {**CHAT, "logprobs": True}, stub="refuses-logprobs").status_code == 400


@pytest.mark.parametrize(
    ("shape", "data"),
    [("responses", {}), ("chat", {"logprobs": False}), ("completions", {"logprobs": 0}), ("llama.cpp", {"n_probs": 3})],
)
def test_log_probabilities_are_not_asked_for_where_the_client_says_something_of_them(shape, data):
    assert asking(shape, data, 5) is None


class Failing:
    """A validator of a third party."""

    name = "failing"

    def check(self, observation):
        raise RuntimeError("broken")


def test_a_validator_that_fails_costs_no_answer(stub):
    with guarding(stub.url) as guard:
        pipeline = guard.parts.watcher._pipeline
        pipeline.validators = (*pipeline.validators, Failing())
        assert guard.post("/v1/completions", {"prompt": "x"}).content == DOCUMENT
        guard.settle()
        assert guard.total("answer_anomalies", validator="failing") == 1


def test_an_alarm_of_the_rate_is_told_once_and_not_at_the_usual_rate(stub, registry):
    for usual, alarms in ((0.001, 1), (0.6, 0)):
        with guarding(stub.url, registry=registry, usual_rate=usual) as guard:
            for _ in range(6):  # half of the tokens are anomalous
                guard.post("/completion", {"prompt": "x"}, stub="anomalous")
            guard.settle()
            assert guard.total("alarms", monitor="anomalous tokens") == alarms
            assert (guard.total("e_value") > 9) == bool(alarms)
            assert guard.get("/-/state.json").json()["alarms"] == alarms
