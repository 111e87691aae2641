"""An answer reaches the client byte for byte as it came, or broken off where the server broke off; never completed in its stead."""

import json
import socket
import time

import httpx
import pytest
from guarding import guarding
from stub_upstream import DOCUMENT, EVENTS

from samplerfuzz.safety.policy import Policy
from samplerfuzz.safety.proxy.settings import Limits

CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
STREAM = {**CHAT, "stream": True}


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_document_comes_as_it_was_sent_with_its_headers(guard, stub):
    answer = guard.post("/v1/chat/completions", CHAT)
    assert answer.content == DOCUMENT
    assert answer.headers["x-of-the-server"] == "yes"
    assert answer.headers["content-length"] == str(len(DOCUMENT))
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_a_stream_comes_as_it_was_sent(guard):
    answer = guard.post("/v1/chat/completions", STREAM)
    assert answer.content == EVENTS
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"


def test_events_come_as_they_are_sent_and_not_at_the_end(guard):
    with (
        httpx.Client(trust_env=False) as client,
        client.stream("POST", guard.url + "/v1/chat/completions", json=STREAM, headers={"x-stub": "stalls"}) as answer,
    ):
        got = b""
        for piece in answer.iter_raw():  # the server never ends this answer: what it sent is here all the same
            got += piece
            if len(got) == 100:
                break
    assert got == EVENTS[:100]


@pytest.mark.parametrize("stub_does", ["dies", "dies-by-length", "resets"])
def test_an_answer_that_breaks_off_is_broken_off_for_the_client(guard, stub_does):
    before = guard.total("upstream_errors")
    with pytest.raises(httpx.RemoteProtocolError):
        guard.post("/v1/chat/completions", STREAM, stub=stub_does)
    until(lambda: guard.total("upstream_errors") == before + 1)
    data = json.dumps(STREAM).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nX-Stub: {stub_does}\r\nContent-Length: {len(data)}\r\n\r\n"
    shown = guard.raw(head.encode() + data)
    assert (EVENTS[:50] in shown) or (DOCUMENT[:50] in shown)
    assert b"\r\n0\r\n" not in shown
    assert b"upstream_" not in shown


@pytest.mark.parametrize(
    ("stub_does", "status", "code"),
    [
        ("closes", 502, "upstream_garbage"),
        ("garbage", 502, "upstream_garbage"),
        ("status-999", 502, "upstream_garbage"),
        ("huge-headers", 502, "upstream_garbage"),
        ("redirects", 502, "upstream_redirect"),
    ],
)
def test_an_answer_that_is_none_is_an_error_of_the_server(guard, stub_does, status, code):
    answer = guard.post("/v1/chat/completions", CHAT, stub=stub_does)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["type"] == "server_error"
    assert "elsewhere" not in answer.text
    assert "location" not in answer.headers


def test_an_error_of_the_server_is_passed_on_as_it_came(guard):
    answer = guard.post("/v1/chat/completions", CHAT, stub="fails")
    assert (answer.status_code, answer.content) == (500, b'{"error": {"message": "out of memory"}}')


@pytest.mark.parametrize("stub_does", ["compressed", "no-json"])
def test_an_answer_that_cannot_be_read_is_passed_on_as_it_came(guard, stub_does):
    with (
        httpx.Client(trust_env=False) as client,
        client.stream("POST", guard.url + "/v1/chat/completions", json=CHAT, headers={"x-stub": stub_does}) as answer,
    ):
        body = b"".join(answer.iter_raw())
    assert body == {"compressed": b"\x1f\x8b not really", "no-json": b"\xff{]" * 1000}[stub_does]


def test_a_large_answer_comes_whole(guard):
    assert len(guard.post("/v1/chat/completions", CHAT, stub="oversized").content) == 16 * 16 * 65536


def test_headers_of_one_connection_stay_there(guard, stub):
    headers = {"connection": "x-mine", "x-mine": "1", "te": "trailers", "proxy-authorization": "secret", "authorization": "Bearer key"}
    answer = guard.post("/v1/chat/completions", CHAT, stub="hop-by-hop", headers=headers)
    names = {name.lower() for name, _ in stub.last().headers}
    assert not names & {"x-mine", "te", "proxy-authorization"}
    assert stub.last().header("authorization") == ["Bearer key"]
    assert stub.last().header("host") == [stub.url.removeprefix("http://")]
    assert "x-private" not in answer.headers
    assert answer.headers.get_list("x-samplerfuzz-decision") == ["accept"]


def test_a_server_that_is_not_there_is_said_to_be_so():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with guarding(f"http://127.0.0.1:{port}") as guard:
        answer = guard.post("/v1/chat/completions", CHAT)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")
        assert guard.get("/-/readyz").status_code == 503
        assert guard.get("/-/healthz").status_code == 200


def test_a_silent_server_is_given_up(stub):
    with guarding(stub.url, limits=Limits(silent_seconds=0.3)) as guard:
        answer = guard.post("/v1/chat/completions", CHAT, stub="silent")
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_silent")
        with pytest.raises(httpx.RemoteProtocolError):
            guard.post("/v1/chat/completions", STREAM, stub="stalls")


def test_an_answer_without_end_is_cut_at_the_limit(stub):
    with guarding(stub.url, limits=Limits(total_seconds=0.5)) as guard:
        with pytest.raises(httpx.RemoteProtocolError):
            guard.post("/v1/chat/completions", STREAM, stub="endless")
        answer = guard.post("/v1/chat/completions", CHAT, stub="silent")
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_too_long")


def test_a_client_that_goes_takes_its_request_with_it(stub):
    with guarding(stub.url) as guard:
        stub.abandoned.clear()
        with (
            httpx.Client(trust_env=False) as client,
            client.stream("POST", guard.url + "/v1/chat/completions", json=STREAM, headers={"x-stub": "endless"}) as answer,
        ):
            next(answer.iter_raw())
        assert stub.abandoned.wait(20)
        until(lambda: guard.total("client_disconnects") == 1 and guard.total("in_flight") == 0)


def test_a_client_that_goes_before_the_answer_begins_takes_its_request_with_it(stub):
    with guarding(stub.url) as guard:
        with httpx.Client(trust_env=False, timeout=0.3) as client, pytest.raises(httpx.ReadTimeout):
            client.post(guard.url + "/v1/chat/completions", json=CHAT, headers={"x-stub": "silent"})
        until(lambda: guard.total("client_disconnects") == 1 and guard.total("in_flight") == 0)


def test_a_client_that_does_not_read_stops_the_server_and_fills_no_memory(stub):
    with guarding(stub.url, Policy(sampling_rate=0.0)) as guard:
        data = json.dumps(STREAM).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nX-Stub: endless\r\nContent-Length: {len(data)}\r\n\r\n"
        stub.sent = 0
        with socket.create_connection(("127.0.0.1", guard.port)) as client:
            client.sendall(head.encode() + data)
            until(lambda: stub.sent > 0)
            seen = -1
            while seen != stub.sent:  # until nothing more is taken
                seen = stub.sent
                time.sleep(0.5)
        assert stub.sent < 64 * 2**20  # what the buffers of the sockets hold, which is all


def test_more_requests_than_allowed_are_told_to_come_again(stub):
    with guarding(stub.url, limits=Limits(concurrency=1)) as guard, httpx.Client(trust_env=False) as client:
        with client.stream("POST", guard.url + "/v1/chat/completions", json=STREAM, headers={"x-stub": "stalls"}):
            answer = guard.post("/v1/chat/completions", CHAT)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert guard.get("/-/healthz").status_code == 200
        until(lambda: guard.total("in_flight") == 0)
        assert guard.post("/v1/chat/completions", CHAT).status_code == 200
        assert guard.total("overloads") == 1
