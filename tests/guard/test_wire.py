"""Requests as bytes: what is no HTTP, what points elsewhere, what is slow or too large."""

import socket

import pytest
from guarding import guarding

from samplerfuzz.core.errors import UsageError
from samplerfuzz.safety.proxy.endpoints import GUARDED, rule
from samplerfuzz.safety.proxy.serving import listening
from samplerfuzz.safety.proxy.settings import Limits, upstream

BODY = b'{"prompt": "x", "temperature": 9}'
ELSEWHERE = [
    b"http://127.0.0.1:9/v1/completions",
    b"//127.0.0.1:9/v1/completions",
    b"/v1/../v1/completions",
    b"/v1/./completions",
    b"/v1//completions",
    b"/v1/completions/",
    b"/v1/completions;a=b",
    b"/V1/completions",
    b"/v1/%63ompletions",
    b"/v1/completions%00",
    b"/v1%2fcompletions",
    b"/v1/models/..%2f..%2fslots",
    b"/v1/models/../../slots",
    b"/v1/models/a/b/c",
    b"/slots",
    b"/generate",
    b"/invocations",
    b"@127.0.0.1:9/",
    b"*",
]


def request(target, *, method=b"POST", body=BODY, headers=b""):
    return (
        method
        + b" "
        + target
        + b" HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\nConnection: close\r\n"
        + headers
        + b"Content-Length: %d\r\n\r\n" % len(body)
        + body
    )


@pytest.mark.parametrize("method", [b"POST", b"GET"])
@pytest.mark.parametrize("target", ELSEWHERE)
def test_no_spelling_of_a_path_leads_anywhere_else(guard, stub, target, method):
    before = len(stub.asked)
    status = guard.raw(request(target, method=method)).split(b" ")[1]
    assert status in (b"400", b"404", b"405")
    assert len(stub.asked) == before


def test_a_path_that_is_let_by_goes_to_the_server_under_its_own_host(guard, stub):
    shown = guard.raw(request(b"/v1/models?a=b", method=b"GET", body=b""))
    assert shown.endswith(b'{"data": [{"id": "stub"}]}') or b" 200 " in shown
    assert stub.last().target == "/v1/models?a=b"
    assert stub.last().header("host") == [stub.url.removeprefix("http://")]


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"POST /v1/completions HTTP/9.9\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost : a\r\n\r\n",
        b"POST /v1/comp\xffletions HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x00" * 1000,
    ],
)
def test_what_is_no_http_is_answered_400(guard, stub, data):
    before = len(stub.asked)
    status = guard.raw(data).split(b" ")[1]
    assert status in (b"400", b"501")
    assert len(stub.asked) == before


def test_a_request_that_says_its_length_twice_over_is_not_sent_on_twice(guard, stub):
    before = len(stub.asked)
    smuggled = b"0\r\n\r\nPOST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 33\r\n\r\n" + BODY
    guard.raw(request(b"/v1/completions", body=smuggled, headers=b"Transfer-Encoding: chunked\r\n"))
    assert len(stub.asked) == before


@pytest.mark.parametrize("header", [b"X-Long: " + b"x" * 200_000 + b"\r\n", b"".join(b"X-%d: y\r\n" % i for i in range(20_000))])
def test_headers_above_the_limit_are_refused(guard, stub, header):
    before = len(stub.asked)
    assert guard.raw(request(b"/v1/completions", headers=header)).split(b" ")[1] in (b"400", b"431")
    assert len(stub.asked) == before


def test_a_head_that_does_not_come_is_not_waited_for(stub):
    with guarding(stub.url, limits=Limits(head_seconds=0.3)) as guard:
        assert guard.raw(b"POST /v1/completions HTTP/1.1\r\nHost:") == b""
        assert guard.raw(b"") == b""
        # nor the second one of a connection
        first = b"GET /-/healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        assert guard.raw(first + b"POST /v1/comple").count(b"HTTP/1.1") == 1


def test_a_body_that_does_not_come_is_not_waited_for(stub):
    with guarding(stub.url, limits=Limits(body_seconds=0.3)) as guard:
        head = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        assert guard.raw(head).split(b" ")[1] == b"408"


def test_a_client_that_goes_within_its_body_leaves_nothing(guard, stub):
    before = len(stub.asked)
    with socket.create_connection(("127.0.0.1", guard.port)) as client:
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    assert guard.post("/v1/completions", {"prompt": "x"}).status_code == 200
    assert len(stub.asked) == before + 1


def test_two_requests_of_one_connection_are_judged_each(guard, stub):
    before = len(stub.asked)
    good, bad = b'{"prompt": "x"}', BODY
    head = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    shown = guard.raw(head % len(good) + b"\r\n" + good + head % len(bad) + b"Connection: close\r\n\r\n" + bad)
    assert b"HTTP/1.1 200" in shown
    assert b"HTTP/1.1 400" in shown
    assert len(stub.asked) == before + 1


def test_a_web_socket_is_not_opened(guard, stub):
    before = len(stub.asked)
    headers = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    data = b"GET /v1/completions HTTP/1.1\r\nHost: a\r\n" + headers + b"Connection: close\r\n\r\n"
    assert b" 101 " not in guard.raw(data).partition(b"\r\n")[0]
    assert len(stub.asked) == before


def test_a_small_answer_is_not_held_back_by_the_socket():
    with listening("127.0.0.1", 0, "--listen") as sock:
        assert sock.proto == socket.IPPROTO_TCP  # where asyncio switches Nagle's algorithm off


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8080",
        "ftp://a",
        "http://",
        "http://a/?x=1",
        "http://a/#x",
        "http://user:pw@a",
        "http://a:99999",
        "file:///etc/passwd",
        "http://a/v1",
    ],
)
def test_an_address_of_the_server_that_is_none_is_a_usage_error(url):
    with pytest.raises(UsageError):
        upstream(url)


@pytest.mark.parametrize(
    "text", ["/slots", "GET slots", "GET /a/../b", "GET //a", "get /a", "GET /a?b", *(f"POST {path}" for path in GUARDED)]
)
def test_a_rule_that_lets_by_too_much_is_a_usage_error(text):
    with pytest.raises(UsageError):
        rule(text)


def test_a_head_request_has_the_headers_and_no_body(guard, stub):
    shown = guard.raw(request(b"/v1/models", method=b"HEAD", body=b""))
    assert shown.startswith(b"HTTP/1.1 200")
    assert b"content-length: 26" in shown.lower()
    assert shown.endswith(b"\r\n\r\n")
    assert stub.last().method == "HEAD"


def test_an_allowed_path_is_let_by(stub):
    with guarding(stub.url, let_by=[rule("GET /slots")]) as guard:
        assert guard.get("/slots").status_code == 200
        assert stub.last().target == "/slots"
        assert guard.post("/slots", {}).status_code == 404
