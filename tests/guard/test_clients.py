"""Clients and collectors that people have: OpenAI's Python client, OpenTelemetry's SDK."""

import json

import pytest
from guarding import guarding
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from samplerfuzz.safety.policy import Policy
from samplerfuzz.safety.proxy.telemetry import Telemetry

openai = pytest.importorskip("openai")


@pytest.fixture(params=[False, True], ids=["as it is", "with log-probabilities of the guard's own"])
def client(stub, request):
    policy = Policy(logprobs=request.param)
    with guarding(stub.url, policy) as guard, openai.OpenAI(base_url=guard.url + "/v1", api_key="key", max_retries=0) as made:
        yield made


def test_openais_client_gets_a_completion(client, stub):
    answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], temperature=0.5)
    assert answer.choices[0].message.content == "Hello"
    assert stub.last().header("authorization") == ["Bearer key"]
    assert client.completions.create(model="m", prompt="x").choices[0].text == "Hello ä"


def test_openais_client_gets_a_stream(client):
    stream = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True)
    assert "".join(event.choices[0].delta.content for event in stream if event.choices) == "Hello ä"


def test_openais_client_is_told_what_is_wrong(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], temperature=7)
    assert refused.value.param == "temperature"
    assert refused.value.code == "refused_by_policy"
    assert "7" in refused.value.message


def test_openais_client_lists_the_models(client):
    assert [model.id for model in client.models.list()] == ["stub"]


def test_openais_client_sees_that_a_stream_broke_off(client):
    stream = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "x"}], stream=True, extra_headers={"x-stub": "dies"}
    )
    with pytest.raises(Exception, match=r"incomplete|peer closed|Connection"):
        list(stream)


def test_a_request_is_a_span_below_the_clients_and_its_tokens_are_counted(stub):
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with guarding(stub.url) as guard:
        guard.parts.telemetry = Telemetry(host="the.server", port=80, tracers=tracers, meters=meters)
        body = {"model": "m", "messages": [{"role": "user", "content": "a secret"}], "temperature": 0.5, "top_k": 40, "max_tokens": 5}
        guard.post("/v1/chat/completions", body, headers={"traceparent": parent})
        guard.post("/v1/chat/completions", {**body, "temperature": 9})
        guard.settle()
    first, second = spans.get_finished_spans()
    assert first.name == "chat m"
    told = dict(first.attributes)
    assert {name: told[name] for name in told if name.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.max_tokens": 5,
    }
    assert (told["samplerfuzz.guard.action"], told["http.response.status_code"]) == ("accept", 200)
    assert (second.attributes["samplerfuzz.guard.action"], second.attributes["error.type"]) == ("reject", "400")
    assert f"{first.parent.span_id:016x}" == "b7ad6b7169203331"
    sent = stub.asked[-1].header("traceparent")
    assert sent == [f"00-0af7651916cd43dd8448eb211c80319c-{first.context.span_id:016x}-01"]
    assert (told["server.address"], told["server.port"]) == ("the.server", 80)
    assert "a secret" not in json.dumps([json.loads(span.to_json()) for span in (first, second)])
    found = {
        metric.name: metric
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert set(found) >= {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    usage = {point.attributes["gen_ai.token.type"]: point.sum for point in found["gen_ai.client.token.usage"].data.data_points}
    assert (usage["input"], usage["output"]) == (3, 2)


def test_the_trace_of_a_client_reaches_the_server(guard, stub):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    guard.post("/v1/completions", {"prompt": "x"}, headers={"traceparent": parent})
    sent = stub.last().header("traceparent")
    assert len(sent) == 1
    assert sent[0].startswith("00-0af7651916cd43dd8448eb211c80319c-")
