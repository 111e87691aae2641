"""The guard in front of a real llama.cpp server with SmolLM2-135M, asked by OpenAI's client."""

import json
import sys
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "guard"))

from guarding import guarding
from test_trophies import served

from samplerfuzz.safety.policy import Policy

openai = pytest.importorskip("openai")
pytestmark = pytest.mark.heavy
ASKED = {"prompt": "Once upon a time", "max_tokens": 12, "temperature": 0.0, "seed": 1}
CHAT = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def server():
    with served("llama.cpp server") as address:
        yield address


@pytest.fixture(scope="module")
def guard(server):
    with guarding(server) as running:
        yield running


def client(guard):
    return openai.OpenAI(base_url=guard.url + "/v1", api_key="none", max_retries=0, timeout=120)


def test_the_same_text_comes_with_the_guard_and_without(server, guard):
    bare = httpx.post(server + "/v1/completions", json=ASKED, trust_env=False, timeout=120).json()
    guarded = httpx.post(guard.url + "/v1/completions", json=ASKED, trust_env=False, timeout=120)
    assert guarded.headers["x-samplerfuzz-decision"] == "accept"
    assert guarded.json()["choices"] == bare["choices"]
    assert bare["choices"][0]["text"].strip()


def test_openais_client_streams_through_the_guard(guard):
    with client(guard) as asking:
        whole = asking.chat.completions.create(model="m", messages=CHAT, max_tokens=12, temperature=0, seed=1)
        stream = asking.chat.completions.create(model="m", messages=CHAT, max_tokens=12, temperature=0, seed=1, stream=True)
        pieces = [event.choices[0].delta.content or "" for event in stream if event.choices]
    assert "".join(pieces) == whole.choices[0].message.content
    assert len(pieces) > 3


@pytest.mark.parametrize("settings", [{"temperature": -1}, {"temperature": 9}, {"top_k": 10**6}, {"repeat_penalty": -1}, {"min_p": 2}])
def test_what_the_policy_refuses_never_reaches_the_model(guard, settings):
    answer = httpx.post(guard.url + "/completion", json={"prompt": "x", "n_predict": 1, **settings}, trust_env=False, timeout=120)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == next(iter(settings))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/completion", "/v1/completions", "/v1/chat/completions"])
def test_log_probabilities_are_read_and_taken_out_again(server, path, stream):
    asked = {"prompt": "Once upon a time", "messages": CHAT, "n_predict": 8, "temperature": 0.8, "seed": 1, "stream": stream}
    with guarding(server, Policy(logprobs=True), logprobs_count=20) as guard:
        answer = httpx.post(guard.url + path, json=asked, trust_env=False, timeout=120)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-samplerfuzz-rewritten"] == "logprobs"
        assert '"top_logprobs"' not in answer.text
        assert '"completion_probabilities"' not in answer.text
        guard.settle()
        assert guard.total("tokens") == 8
        assert guard.total("guard_errors") == 0
        assert guard.parts.metrics.registry.get_sample_value("samplerfuzz_guard_entropy_nats_count") >= 0


def test_tokens_of_a_registry_are_found_in_what_the_server_says(server, tmp_path):
    asked = {"prompt": "Once upon a time", "n_predict": 8, "temperature": 0, "return_tokens": True}
    ids = httpx.post(server + "/completion", json=asked, trust_env=False, timeout=120).json()["tokens"]
    entries = [{"id": ids[0], "text": "x", "p": 0.0}]
    data = {
        "format": "samplerfuzz anomalous tokens 1",
        "model": "m",
        "model_sha256": "",
        "tokenizer_sha256": "",
        "threshold": 0.01,
        "tokens": entries,
    }
    (tmp_path / "registry.json").write_text(json.dumps(data), encoding="utf-8")
    with guarding(server, registry=tmp_path / "registry.json") as guard:
        httpx.post(guard.url + "/completion", json=asked, trust_env=False, timeout=120)
        guard.settle()
        assert guard.total("tokens") == len(ids)
        assert guard.total("anomalous_tokens") == ids.count(ids[0])


def test_the_models_and_the_health_of_the_server_are_let_by(guard):
    assert httpx.get(guard.url + "/v1/models", trust_env=False).json()["data"]
    assert httpx.get(guard.url + "/health", trust_env=False).json() == {"status": "ok"}
    assert httpx.get(guard.url + "/-/readyz", trust_env=False).status_code == 200
    assert httpx.get(guard.url + "/slots", trust_env=False).status_code == 404


NEUTRAL = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "top_n_sigma": 0.0, "xtc_probability": 0.0, "dynatemp_range": 0.0}
NEUTRAL |= {
    "mirostat": 0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "dry_multiplier": 0.0,
    "adaptive_target": -1.0,
    "repeat_penalty": 1.0,
}
BEGINNINGS = (
    "Once upon a time",
    "The capital of France",
    "def main():\n",
    "In 1969",
    "A recipe for soup:",
    "Dear Sir,",
    "The proof is",
    "She said",
)


def drawn(guard, path, fields, requests):
    """Ask with prompts that differ, without a seed: 24 tokens each."""
    for number in range(requests):
        prompt = f"{BEGINNINGS[number % len(BEGINNINGS)]} {number}"
        data = {"prompt": prompt, "messages": [{"role": "user", "content": prompt}], "max_tokens": 24, "n_predict": 24, **fields}
        answer = httpx.post(guard.url + path, json=data, trust_env=False, timeout=120)
        assert answer.status_code == 200, answer.text
    guard.settle()


RAW = Policy(logprobs=True, logprobs_are="raw", dialect="llama.cpp")
LAWS = [
    pytest.param(
        "/completion", {"temperature": 0.8, "n_probs": 10, "post_sampling_probs": True, "top_k": 40}, Policy(), id="after the chain"
    ),
    pytest.param("/completion", {"temperature": 0.8, **NEUTRAL}, RAW, id="raw"),
    pytest.param("/v1/chat/completions", {"temperature": 1.0, "stream": True, **NEUTRAL}, RAW, id="raw, chat streamed"),
]


@pytest.mark.parametrize(("path", "fields", "policy"), LAWS)
def test_llama_cpp_draws_from_the_law_that_it_tells_and_is_not_accused(server, path, fields, policy):
    with guarding(server, policy, logprobs_count=10) as guard:
        drawn(guard, path, fields, 12)
        used = guard.total("law_positions")
        assert used > 60
        assert guard.total("alarms") == 0
        assert guard.total("guard_errors") == 0
        low, high = (guard.total("temperature_factor", bound=bound) for bound in ("low", "high"))
        assert low < 1 < high


def test_a_temperature_other_than_the_declared_one_is_told_of_llama_cpp(server):
    """The server is asked for T = 1 and the monitors are told 0.4, as if it had drawn hotter than it was asked to."""
    with guarding(server, RAW, logprobs_count=10) as guard:
        begin = guard.parts.fidelity.begin
        guard.parts.fidelity.begin = lambda shape, data, body, **options: begin(shape, {**data, "temperature": 0.4}, body, **options)
        drawn(guard, "/completion", {"temperature": 1.0, **NEUTRAL}, 16)
        assert guard.total("alarms", monitor="temperature") == 1
        assert guard.total("alarms", monitor="surprisal") == 1
        assert guard.total("temperature_factor", bound="low") > 1
