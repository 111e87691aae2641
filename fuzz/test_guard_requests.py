"""Whatever bytes come, the guard answers and stays, and no parameter outside the policy reaches the server behind it.

What reached the server is judged by itself: a reader of JSON that forgives much, and ranges that are written down here.
"""

import contextlib
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "guard"))

from guarding import guarding
from stub_upstream import serving

from samplerfuzz.safety.bounds import CLAMP, default_bounds
from samplerfuzz.safety.policy import Policy
from samplerfuzz.safety.proxy.endpoints import GUARDED
from samplerfuzz.safety.proxy.strict_json import MalformedError, read_object

# name on the wire -> the closed range of the shipped policy, and whether the value is whole
SAFE = {
    "temperature": (0, 2, False),
    "top_k": (0, 100, True),
    "top_p": (0.1, 1, False),
    "min_p": (0, 1, False),
    "typical_p": (0, 1, False),
    "repeat_penalty": (0, 1.8e308, False),
    "xtc_probability": (0, 1, False),
}
looked_at = hypothesis.settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])

numbers = st.sampled_from(
    [
        "0",
        "1",
        "2",
        "-1",
        "-0.0",
        "0.1",
        "0.09999999999999999",
        "2.0000000000000004",
        "1e309",
        "-1e309",
        "1e-400",
        "5e-324",
        "NaN",
        "Infinity",
        "-Infinity",
        "100",
        "101",
        "2147483648",
        "9223372036854775808",
        "18446744073709551616",
        "9" * 400,
        "1.",
        ".5",
        "01",
        "+1",
        "0x1",
        "1e5",
        "4e1",
        "40.0",
    ]
)
values = st.one_of(
    numbers,
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(['"1"', '"hot"', "true", "false", "null", "[]", "{}", "[9]", '{"temperature": 9}', '""', '"NaN"']),
)
names = st.sampled_from(
    [f'"{name}"' for name in SAFE]
    + [
        '"\\u0074emperature"',
        '"Temperature"',
        '"temperature "',
        '"temperature\\u0000"',
        "temperature",
        "'temperature'",
        '"stream"',
        '"prompt"',
        '"extra_body"',
        '"options"',
    ]
)
inside = st.sampled_from(list(SAFE)).flatmap(
    lambda name: st.tuples(st.just(f'"{name}"'), st.sampled_from(["1", "1.0"] if SAFE[name][2] else ["1", "0.5", "1e-1", "1.0"]))
)
# what the policy allows, with one thing among it that may be anything: few of what is thrown is refused for a second reason
pairs = st.tuples(
    st.lists(inside, max_size=4, unique_by=lambda pair: pair[0]),
    st.lists(st.tuples(names, values), max_size=1),
    st.lists(inside, max_size=1),
).map(lambda three: [pair for part in three for pair in part])
twice = st.tuples(inside, values).map(lambda both: [(both[0][0], both[1]), both[0]])
objects = (pairs | twice).map(lambda items: "{" + ", ".join(f"{name}: {value}" for name, value in items) + "}")
bodies = st.one_of(
    objects.map(str.encode),
    st.tuples(objects, st.sampled_from(["", "}", "{", " \n", "\x00", "\ufeff", "//", "/* */", ","])).map(
        lambda both: "".join(both).encode()
    ),
    st.tuples(st.sampled_from([b"\xef\xbb\xbf", b"\xff", b""]), objects).map(lambda both: both[0] + both[1].encode("utf-8")),
    objects.map(lambda text: text.encode("utf-16")),
    st.integers(1, 3000).map(lambda n: b'{"prompt": ' + b"[" * n + b"]" * n + b"}"),
    st.binary(max_size=200),
)
types = st.sampled_from(
    ["application/json", "application/json; charset=utf-8", "text/plain", "application/json; charset=utf-7", "", "\xff"]
)
paths = st.just("/v1/completions") | st.sampled_from(
    [
        "/v1/completions",
        "/v1/chat/completions",
        "/completion",
        "/v1/responses",
        "/v1/%63ompletions",
        "/v1/completions/",
        "//v1/completions",
        "/v1/completions?temperature=9",
        "/v1/models",
        "/v1/models/../completions",
        "http://127.0.0.1:9/v1/completions",
        "/",
        "/-/state.json",
        "*",
    ]
)


def outside(body):
    """Return the settings of what reached the server that the policy does not allow, whichever of two of a name the server takes."""
    pairs = json.loads(body.decode("utf-8", "surrogateescape"), strict=False, object_pairs_hook=list)
    found = []
    for name, value in pairs:
        if name not in SAFE or value is None:
            continue
        low, high, whole = SAFE[name]
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or not low <= value <= high or (whole and value != int(value)):
            found.append((name, value))
    return found


@pytest.fixture(scope="module", params=["reject", "clamp"])
def behind(request):
    bounds = default_bounds()
    if request.param == "clamp":
        bounds = {name: replace(bound, action=CLAMP) for name, bound in bounds.items()}
    with serving() as stub, guarding(stub.url, Policy(parameters=bounds)) as guard:
        yield stub, guard


def status_of(shown):
    """Return the status of an answer that is HTTP."""
    line = shown.partition(b"\r\n")[0]
    assert line.startswith(b"HTTP/1.1 "), shown[:200]
    return int(line.split(b" ")[1])


def request_of(target, kind, body, *, chunks):
    """Return one request as bytes, its body by length or in chunks."""
    head = f"POST {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {kind}\r\n".encode("latin-1")
    if not chunks:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    pieces = [body[start : start + chunks] for start in range(0, len(body), chunks)]
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def nothing_gets_past(behind, data):
    """Send bytes; hold what reaches the server to the ranges of the policy."""
    stub, guard = behind
    del stub.asked[:]
    status = status_of(guard.raw(data))
    assert 200 <= status < 600
    assert status not in (500, 502, 504)
    assert guard.total("guard_errors") == 0
    for asked in stub.asked:
        assert asked.target in GUARDED
        assert not outside(asked.body), asked.body
        assert asked.header("content-length") == [str(len(asked.body))]


@looked_at
@given(body=objects.map(str.encode))
def test_no_settings_get_past_the_policy(behind, body):
    nothing_gets_past(behind, request_of("/v1/completions", "application/json", body, chunks=0))


@looked_at
@given(target=paths, kind=types, body=bodies, chunks=st.sampled_from([0, 0, 3, 50]))
def test_no_request_gets_past_the_policy(behind, target, kind, body, chunks):
    nothing_gets_past(behind, request_of(target, kind, body, chunks=chunks))


@looked_at
@given(body=objects.map(str.encode))
def test_what_is_not_clamped_goes_on_byte_for_byte(behind, body):
    stub, guard = behind
    del stub.asked[:]
    shown = guard.raw(request_of("/v1/completions", "application/json", body, chunks=0))
    decided = next(line for line in shown.split(b"\r\n") if line.startswith(b"x-samplerfuzz-decision: "))
    if status_of(shown) == 200 and not decided.startswith(b"x-samplerfuzz-decision: clamp"):
        assert stub.asked[-1].body == body


@looked_at
@given(data=st.binary(min_size=1, max_size=300) | st.tuples(st.sampled_from([b"POST ", b"GET "]), st.binary(max_size=200)).map(b"".join))
def test_bytes_that_are_no_http_end_in_an_answer_or_a_closed_connection(behind, data):
    stub, guard = behind
    del stub.asked[:]
    shown = guard.raw(data, ends=True)
    assert shown == b"" or 200 <= status_of(shown) < 600
    assert not stub.asked
    assert guard.get("/-/healthz").status_code == 200


@looked_at
@given(body=bodies)
def test_reading_a_body_ends_in_an_object_or_a_refusal(body):
    with contextlib.suppress(MalformedError):
        assert isinstance(read_object(body), dict)
