"""Tokens are held against the law that they are drawn by: an honest server is never accused, one that draws at another temperature is, and what is not known counts nothing."""

import json
import math

import pytest
from drawing import NEUTRAL, Source
from guarding import guarding
from hypothesis import given
from hypothesis import strategies as st

from samplerfuzz.safety.policy import Policy
from samplerfuzz.safety.proxy.known_law import KnownLaw, known_law
from samplerfuzz.safety.proxy.turns import Turns

RAW = Policy(logprobs_are="raw", dialect="vllm")
CHAT = {"temperature": 0.8, "logprobs": True, "top_logprobs": 6, "max_tokens": 120, **NEUTRAL}
COMPLETIONS = {"temperature": 1.3, "logprobs": 6, "max_tokens": 120, **NEUTRAL}
LLAMA_CPP = {"temperature": 0.8, "n_probs": 6, "n_predict": 120, "post_sampling_probs": True, "top_k": 40}
SHAPES = [
    pytest.param("/v1/chat/completions", CHAT, RAW, id="chat"),
    pytest.param("/v1/chat/completions", {**CHAT, "stream": True}, RAW, id="stream"),
    pytest.param("/v1/completions", COMPLETIONS, RAW, id="completions"),
    pytest.param("/completion", LLAMA_CPP, Policy(), id="llama.cpp"),
]


def asked(guard, path, fields, times):
    for number in range(times):
        text = {"messages": [{"role": "user", "content": f"{number}"}]} if "chat" in path else {"prompt": f"{number}"}
        assert guard.post(path, {**text, **fields}, stub="draws").status_code == 200
    guard.settle()


@pytest.mark.parametrize(("path", "fields", "policy"), SHAPES)
def test_an_honest_server_is_not_accused(stub, path, fields, policy):
    stub.source = Source(1)
    with guarding(stub.url, policy) as guard:
        asked(guard, path, fields, 200)
        used = guard.total("law_positions")
        assert used > 1000
        assert guard.total("alarms") == 0
        assert guard.total("e_value", monitor="surprisal") < 3
        low, estimate, high = (guard.total("temperature_factor", bound=bound) for bound in ("low", "estimate", "high"))
        assert low < 1 < high
        assert low < estimate < high
        state = guard.get("/-/state.json").json()["sampling"]
    assert state["positions"] == used
    assert state["temperature_factor"] == {"low": low, "estimate": estimate, "high": high}


@pytest.mark.parametrize(("path", "fields", "policy"), SHAPES)
def test_a_server_at_another_temperature_is_accused_by_both_monitors(stub, tmp_path, path, fields, policy):
    stub.source = Source(2, heat=1.5)
    with guarding(stub.url, policy, audit=tmp_path / "audit.jsonl") as guard:
        asked(guard, path, fields, 200)
        assert guard.total("law_positions") < 6000
        assert {name: guard.total("alarms", monitor=name) for name in ("surprisal", "temperature")} == {"surprisal": 1, "temperature": 1}
        assert guard.total("temperature_factor", bound="estimate") == pytest.approx(1.5, rel=0.12)
        assert guard.get("/-/state.json").json()["alarms"] == 2
    told = [line for line in map(json.loads, (tmp_path / "audit.jsonl").read_text("utf-8").splitlines()) if "alarm" in line]
    assert sorted(line["alarm"] for line in told) == ["surprisal", "temperature"]
    assert all(line["evidence"]["alarm"] is True for line in told)


def test_the_guard_asks_by_itself_and_knows_the_law_of_what_it_asked_for(stub):
    stub.source = Source(3)
    plain = {name: value for name, value in CHAT.items() if name not in ("logprobs", "top_logprobs")}
    with guarding(stub.url, Policy(logprobs_are="raw", dialect="vllm", logprobs=True), logprobs_count=6) as guard:
        asked(guard, "/v1/chat/completions", plain, 20)
        assert guard.total("law_positions") > 80


@pytest.mark.parametrize(
    ("change", "policy", "reason"),
    [
        ({}, Policy(), "meaning"),
        ({}, Policy(logprobs_are="raw"), "engine"),
        ({}, Policy(logprobs_are="raw", dialect="transformers"), "engine"),
        ({"temperature": None}, RAW, "temperature"),
        ({"temperature": 0}, RAW, "temperature"),
        ({"temperature": 1e-4}, RAW, "temperature"),
        ({"temperature": -1}, RAW, "temperature"),
        ({"temp": 1}, RAW, "temperature"),
        ({"top_p": 0.9}, RAW, "filters"),
        ({"top_p": None}, RAW, "filters"),
        ({"repetition_penalty": None, "repeat_penalty": 1.0}, RAW, "filters"),
        ({"logit_bias": {"5": 1}}, RAW, "filters"),
        ({"allowed_token_ids": [1]}, RAW, "filters"),
        ({"seed": 7}, RAW, "seed"),
        ({"seed": 2**32 - 1}, RAW, "seed"),
        ({"seed": -1}, Policy(logprobs_are="after the filters"), "seed"),
        ({"stop": ["x"]}, RAW, "stop"),
        ({"echo": True}, RAW, "echo"),
        ({"n": 2}, RAW, "several"),
        ({"best_of": 3}, RAW, "several"),
        ({"tools": [{}]}, RAW, "constrained"),
        ({"response_format": {"type": "json_object"}}, RAW, "constrained"),
        ({"guided_regex": "a"}, RAW, "field"),
        ({"prompt_logprobs": 2}, RAW, "field"),
        ({"stop_token_ids": [5]}, RAW, "constrained"),
        ({"bad_words": ["x"]}, RAW, "constrained"),
        ({"use_beam_search": True}, RAW, "constrained"),
        ({"watermarking": True}, RAW, "constrained"),
        ({"return_tokens_as_token_ids": True}, RAW, "constrained"),
        ({"made_up": 1}, RAW, "field"),
        ({"top_logprobs": 1}, RAW, "not_told"),
        ({"top_logprobs": True}, RAW, "not_told"),
        ({"max_tokens": None}, RAW, "length"),
        ({"max_tokens": 10**6}, RAW, "length"),
        ({"max_tokens": 10, "n_predict": "x"}, RAW, "length"),
    ],
)
def test_what_leaves_the_law_open_counts_nothing(change, policy, reason):
    data = {name: value for name, value in {**CHAT, **change}.items() if value is not None or name not in CHAT}
    assert known_law("chat", {"messages": [], **data}, policy) == reason


@pytest.mark.parametrize(
    ("change", "policy", "temperature"),
    [
        ({}, RAW, 0.8),
        ({"seed": -1}, RAW, 0.8),
        ({"stop_token_ids": [], "bad_words": [], "use_beam_search": False, "watermarking": False, "prompt_logprobs": None}, RAW, 0.8),
        ({"top_k": -1, "seed": None, "stop": [], "logit_bias": {}, "stream": True, "max_tokens": None}, RAW, 0.8),
        ({}, Policy(logprobs_are="after the temperature", dialect="vllm"), 1.0),
        ({"top_p": 0.5, "temperature": 2.0}, Policy(logprobs_are="after the filters"), 1.0),
    ],
)
def test_what_is_known_of_a_law(change, policy, temperature):
    assert known_law("chat", {"messages": [], **CHAT, **change}, policy) == KnownLaw(listed=6, temperature=temperature)


def test_what_llama_cpp_tells_after_its_chain_is_known_without_a_policy():
    found = known_law("llama.cpp", {"prompt": "x", **LLAMA_CPP}, Policy())
    assert found == KnownLaw(listed=6, temperature=None, reason="meaning", after_chain=True)
    assert known_law("llama.cpp", {"prompt": "x", **LLAMA_CPP, "grammar": "root ::= [a-z]"}, Policy()) == "field"


def test_the_stages_of_llama_cpp_are_told_in_its_own_words():
    policy = Policy(logprobs_are="raw", dialect="llama.cpp")
    said = {"top_k": 0, "top_p": 1, "min_p": 0, "typical_p": 1, "top_n_sigma": -1, "xtc_probability": 0, "dynatemp_range": 0, "mirostat": 0}
    said |= {"presence_penalty": 0, "frequency_penalty": 0, "dry_multiplier": 0, "adaptive_target": -1, "repeat_penalty": 1}
    data = {"prompt": "x", "n_probs": 5, "n_predict": 9, "temperature": 0.7, **said}
    assert known_law("llama.cpp", data, policy) == KnownLaw(listed=5, temperature=0.7)
    for name in said:
        assert known_law("llama.cpp", {key: value for key, value in data.items() if key != name}, policy) == "filters"
    other = {**data, "repetition_penalty": 1}
    del other["repeat_penalty"]
    assert known_law("llama.cpp", other, policy) == "filters"  # llama.cpp does not read that name


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(["chat", "completions", "llama.cpp", "responses"]),
    st.dictionaries(st.sampled_from(sorted({*CHAT, *COMPLETIONS, *LLAMA_CPP, "logit_bias", "seed", "stop", "n", "temp", "other"})), ANY),
    st.sampled_from([Policy(), RAW, Policy(logprobs_are="after the filters"), Policy(logprobs_are="raw", dialect="llama.cpp")]),
    st.sampled_from([0, 5]),
)
def test_no_request_is_too_strange_to_be_asked_of_its_law(shape, change, policy, added):
    found = known_law(shape, {**CHAT, **change}, policy, added=added)
    assert isinstance(found, KnownLaw) or found


@pytest.mark.parametrize(
    ("fields", "reason"), [({"top_p": 0.9}, "filters"), ({"seed": 5}, "seed"), ({"top_logprobs": 2}, "few"), ({"made_up": 1}, "field")]
)
def test_skipped_tokens_are_counted_by_reason(stub, fields, reason):
    stub.source = Source(4)
    with guarding(stub.url, RAW) as guard:
        asked(guard, "/v1/chat/completions", {**CHAT, **fields}, 5)
        assert guard.total("law_positions") == 0
        assert guard.total("law_skipped", reason=reason) == guard.total("law_skipped") > 0


def test_what_was_asked_before_counts_once(stub):
    stub.source = Source(5)
    with guarding(stub.url, RAW) as guard:
        asked(guard, "/v1/chat/completions", CHAT, 1)
        used = guard.total("law_positions") + guard.total("law_skipped", reason="outside")
        asked(guard, "/v1/chat/completions", CHAT, 4)
        asked(guard, "/v1/chat/completions", CHAT, 1)
        told = guard.total("law_skipped", reason="repeated")
        assert told > 0
    assert used > 0


def test_a_server_that_says_it_drew_with_a_seed_counts_nothing(stub):
    class Seeded(Source):
        def answer(self, target, data):
            return super().answer(target, {**data, "seed": 42})

    stub.source = Seeded(6)
    with guarding(stub.url) as guard:
        asked(guard, "/completion", LLAMA_CPP, 20)
        assert guard.total("law_positions") == 0
        assert guard.total("law_skipped", reason="seed") > 0


def test_positions_that_are_told_twice_count_nothing(stub):
    class Doubling(Source):
        def chat(self, data):
            answer = json.loads(super().chat(data))
            answer["choices"][0]["logprobs"]["content"] *= 2
            return json.dumps(answer).encode()

    stub.source = Doubling(7)
    with guarding(stub.url, RAW) as guard:
        asked(guard, "/v1/chat/completions", CHAT, 20)
        assert guard.total("law_positions") == 0
        assert guard.total("law_skipped", reason="doubled") > 0


def test_an_answer_counts_when_all_that_were_asked_for_earlier_have_ended():
    turns = Turns(3)
    first, second, third = (turns.take() for _ in range(3))
    assert turns.take() is None
    assert turns.give(third, "c") == []
    assert turns.give(first, None) == []
    assert turns.take() is not None
    assert turns.give(second, "b") == ["b", "c"]


def test_a_failed_answer_does_not_hold_the_others_up(stub):
    stub.source = Source(8)
    with guarding(stub.url, RAW) as guard:
        text = {"messages": [{"role": "user", "content": "first"}]}
        for what in ("fails", "no-json", "oversized", "closes"):
            guard.post("/v1/chat/completions", {**text, **CHAT, "user": what}, stub=what)
        asked(guard, "/v1/chat/completions", CHAT, 3)
        assert guard.total("law_positions") > 0
    assert math.isfinite(guard.total("e_value", monitor="surprisal"))
