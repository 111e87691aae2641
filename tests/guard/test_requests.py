"""What a request may say, and what becomes of it before the server sees it."""

import json

import pytest
from guarding import guarding
from stub_upstream import DOCUMENT

from samplerfuzz.safety.bounds import CLAMP, FLAG, Bound, default_bounds
from samplerfuzz.safety.policy import Policy
from samplerfuzz.safety.proxy.settings import Limits

PATHS = ("/v1/completions", "/v1/chat/completions", "/completion", "/v1/responses", "/chat/completions", "/completions", "/infill")
MALFORMED = {
    "invalid_json": b'{"temperature": 1.0',
    "trailing": b'{"temperature": 1.0} {}',
    "empty": b"",
    "nan": b'{"prompt": "x", "temperature": NaN}',
    "infinity": b'{"prompt": "x", "temperature": -Infinity}',
    "too large for a float": b'{"prompt": "x", "temperature": 1e999}',
    "too large for an integer": b'{"prompt": "x", "top_k": ' + b"9" * 5000 + b"}",
    "duplicate": b'{"prompt": "x", "temperature": 1, "temperature": 9}',
    "duplicate by escape": b'{"prompt": "x", "temperature": 1, "\\u0074emperature": 9}',
    "nested duplicate": b'{"prompt": "x", "logit_bias": {"1": 1, "1": 2}}',
    "array": b'[{"temperature": 1.0}]',
    "string": b'"temperature"',
    "null": b"null",
    "number": b"1e999",
    "utf-8": b'{"prompt": "\xff"}',
    "bom": b'\xef\xbb\xbf{"prompt": "x"}',
    "utf-16": '{"prompt": "x"}'.encode("utf-16"),
    "deep array": b'{"prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep object": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "control character": b'{"prompt": "\x01"}',
    "single quotes": b"{'temperature': 1}",
    "comment": b'{"temperature": 1 /* cold */}',
    "too many fields": json.dumps({f"field{number}": 1 for number in range(129)}).encode(),
    "stream is a word": b'{"prompt": "x", "stream": "yes"}',
}
OUTSIDE = [
    ("temperature", 2.5),
    ("temperature", -0.1),
    ("temperature", 1e308),
    ("temperature", "1.0"),
    ("temperature", True),
    ("temperature", [1.0]),
    ("temperature", {}),
    ("top_p", 1.5),
    ("top_p", 0),
    ("top_k", 101),
    ("top_k", 2**63),
    ("top_k", 40.5),
    ("min_p", -0.1),
    ("repeat_penalty", -1),
]


def ask(guard, path, body, **options):
    return guard.post(path, body, **options)


@pytest.mark.parametrize("path", PATHS)
def test_what_the_policy_accepts_goes_on_byte_for_byte(guard, stub, path):
    body = b'{ "prompt" : "x\\u00e4",\t"temperature": 0.70, "top_p":0.9, "seed": 18446744073709551615 }\n'
    answer = ask(guard, path, body)
    assert answer.status_code == 200
    assert answer.content == DOCUMENT
    assert answer.headers["x-samplerfuzz-decision"] == "accept"
    assert (stub.last().method, stub.last().target, stub.last().body) == ("POST", path, body)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_body_is_refused_and_not_sent_on(guard, stub, name, path):
    before = len(stub.asked)
    answer = ask(guard, path, MALFORMED[name])
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert len(error["message"]) < 300
    assert answer.headers["x-samplerfuzz-decision"] == "reject"
    assert len(stub.asked) == before


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("name", "value"), OUTSIDE)
def test_a_parameter_outside_the_policy_is_refused_by_its_name(guard, stub, path, name, value):
    before = len(stub.asked)
    answer = ask(guard, path, {"prompt": "x", "messages": [], name: value})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (name, "refused_by_policy")
    assert name in error["message"]
    assert len(stub.asked) == before


def test_a_number_that_json_has_not_is_refused_by_its_name(guard):
    error = ask(guard, "/v1/completions", MALFORMED["nan"]).json()["error"]
    assert error["param"] == "temperature"
    assert "NaN" in error["message"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "", "multipart/form-data"]
)
def test_another_content_type_is_refused(guard, stub, kind):
    before = len(stub.asked)
    answer = ask(guard, "/v1/completions", b'{"prompt": "x"}', headers={"content-type": kind})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "wrong_content_type")
    assert len(stub.asked) == before


def test_a_charset_that_says_utf_8_is_no_other_content_type(guard):
    assert ask(guard, "/v1/completions", b'{"prompt": "x"}', headers={"content-type": "Application/JSON; charset=UTF-8"}).status_code == 200


def test_a_compressed_body_is_refused(guard):
    answer = ask(guard, "/v1/completions", b"\x1f\x8b", headers={"content-encoding": "gzip"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "encoded_body")


def test_settings_in_the_address_are_refused(guard, stub):
    before = len(stub.asked)
    assert ask(guard, "/v1/completions?temperature=nan", {"prompt": "x"}).json()["error"]["code"] == "query_not_allowed"
    assert len(stub.asked) == before


def test_another_method_is_refused(guard, stub):
    before = len(stub.asked)
    answer = guard.get("/v1/completions")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert len(stub.asked) == before


def test_an_unknown_field_is_flagged_and_goes_on(guard, stub):
    body = b'{"prompt": "x", "temprature": 0.5}'
    answer = ask(guard, "/v1/completions", body)
    assert answer.headers["x-samplerfuzz-decision"] == "flag"
    assert stub.last().body == body


def test_a_clamp_rewrites_the_number_and_nothing_else(stub):
    bounds = {**default_bounds(), "temperature": Bound(minimum=0.0, maximum=1.0, action=CLAMP)}
    with guarding(stub.url, Policy(parameters=bounds)) as guard:
        answer = ask(guard, "/v1/completions", {"prompt": "ä😀", "temperature": 1.5, "stop": ["\n"], "top_p": 0.9, "n": 1})
        assert answer.status_code == 200
        assert answer.headers["x-samplerfuzz-decision"] == "clamp; temperature=1.0"
        assert answer.headers["x-samplerfuzz-rewritten"] == "settings"
        sent = json.loads(stub.last().body)
        assert sent == {"prompt": "ä😀", "temperature": 1.0, "stop": ["\n"], "top_p": 0.9, "n": 1}
        assert stub.last().header("content-length") == [str(len(stub.last().body))]
        assert guard.total("clamps", parameter="temperature") == 1
        assert guard.total("temperature_anomalies") == 1
        assert ask(guard, "/v1/completions", MALFORMED["nan"]).status_code == 400


def test_defaults_are_added_where_the_policy_says_so(stub):
    with guarding(stub.url, Policy(add_defaults=True)) as guard:
        answer = ask(guard, "/v1/completions", {"prompt": "x", "top_p": 0.5})
        assert (answer.headers["x-samplerfuzz-decision"], answer.headers["x-samplerfuzz-rewritten"]) == ("accept", "settings")
        sent = json.loads(stub.last().body)
        assert (sent["prompt"], sent["top_p"], sent["temperature"]) == ("x", 0.5, 1.0)


def test_a_flagged_parameter_goes_on_byte_for_byte(stub):
    bounds = {**default_bounds(), "temperature": Bound(minimum=0.0, maximum=1.0, action=FLAG)}
    with guarding(stub.url, Policy(parameters=bounds)) as guard:
        body = b'{"prompt": "x", "temperature": 1.50}'
        assert ask(guard, "/v1/completions", body).headers["x-samplerfuzz-decision"] == "flag"
        assert stub.last().body == body
        assert guard.total("flags") + guard.total("temperature_anomalies") >= 1


class Broken(Policy):
    """A policy whose validators fail."""

    def decide(self, config):
        raise ZeroDivisionError("the prompt is in here")


@pytest.mark.parametrize(("on_error", "status"), [("closed", 503), ("open", 200)])
def test_a_policy_that_fails_refuses_or_lets_by_as_it_says(stub, on_error, status):
    with guarding(stub.url, Broken(on_error=on_error)) as guard:
        before = len(stub.asked)
        answer = ask(guard, "/v1/completions", {"prompt": "x", "temperature": 99})
        assert answer.status_code == status
        assert "the prompt is in here" not in answer.text
        assert len(stub.asked) - before == (status == 200)
        assert guard.total("guard_errors", part="policy") == 1
        assert ask(guard, "/v1/completions", b"{").status_code == 400


@pytest.mark.parametrize("value", [[1] * 100_000, "x" * 100_000, {str(i): i for i in range(10_000)}])
def test_a_large_value_makes_no_large_answer(guard, value):
    answer = ask(guard, "/v1/completions", {"prompt": "x", "temperature": value})
    assert answer.status_code == 400
    assert len(answer.content) < 1000


def test_a_large_body_is_judged_and_goes_on_byte_for_byte(guard, stub):
    body = b'{"prompt": "' + b"x " * 100_000 + b'", "temperature": 0.5}'
    assert ask(guard, "/v1/completions", body).status_code == 200
    assert stub.last().body == body
    before = len(stub.asked)
    assert ask(guard, "/v1/completions", body.replace(b"0.5", b"5.5")).status_code == 400
    assert len(stub.asked) == before


def test_a_body_above_the_limit_is_refused_before_it_is_read(stub):
    with guarding(stub.url, limits=Limits(body=1000)) as guard:
        answer = ask(guard, "/v1/completions", b'{"prompt": "' + b"x" * 2000 + b'"}')
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
        chunked = b"".join(b"%x\r\n%s\r\n" % (500, b"x" * 500) for _ in range(5)) + b"0\r\n\r\n"
        head = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert b" 413 " in guard.raw(head + chunked).partition(b"\r\n")[0]
