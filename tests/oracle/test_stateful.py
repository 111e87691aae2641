"""The twins of mirostat, adaptive-p and DRY on tables, and what they remember, against the definitions written out in plain Python."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from samplerfuzz.oracle import History, Reading, believe, precision, remember

INF = np.inf
FLOAT32 = precision("float32")


def logs(*p):
    return [np.log(x) if x else -INF for x in p]


def belief_of(logits, order, reading=None, history=None, memory=None, **parameters):
    return believe(
        np.array([logits], np.float32),
        [order],
        {name: np.atleast_2d(v) if np.ndim(v) else np.array([v], float) for name, v in parameters.items()},
        arithmetic=FLOAT32,
        history=None if history is None else History.of([history]),
        reading=Reading(settled={(order, name): value for name, value in (reading or {}).items()}),
        memory=memory,
    )


def kept(belief):
    return set(np.flatnonzero(belief.must[0])), set(np.flatnonzero(belief.may[0]))


@pytest.mark.parametrize(
    ("logits", "parameters", "reading", "must", "may"),
    [
        (logs(0.5, 0.3, 0.2), {"mirostat_tau": 1.0}, {}, {0, 1}, set()),
        (logs(0.5, 0.25, 0.25), {"mirostat_tau": 1.0}, {}, {0}, {1, 2}),  # a surprise of exactly μ
        (logs(0.3, 0.5, 0.2), {"mirostat_tau": 0.01}, {}, {1}, set()),
        (logs(0.4, 0.4, 0.2), {"mirostat_tau": 0.01}, {}, set(), {0, 1}),
        (logs(0.5, 0.3, 0.2), {"mirostat_tau": 100.0}, {}, {0, 1, 2}, set()),
        (logs(0.5, 0.3, 0.2), {"mirostat_tau": 0.01, "mirostat": 0.0}, {}, {0, 1, 2}, set()),
        # s = 1 is where the formula has no value: everything is open there; beside it k = 2^μ / ln 2
        (logs(0.6, 0.28), {"mirostat_tau": 0.1, "mirostat": 1.0}, {}, {0}, set()),
        (logs(0.6, 0.28), {"mirostat_tau": 0.1, "mirostat": 1.0}, {"rank": "rounded"}, {0, 1}, set()),
        ([0, 0, 0, 0], {"mirostat_tau": 1.0, "mirostat": 1.0}, {}, {0, 1, 2, 3}, set()),  # 2^2 > 3
        ([0, 0, 0, 0], {"mirostat_tau": 0.5, "mirostat": 1.0}, {}, set(), {0, 1, 2, 3}),  # one of them
        ([0, 0, 0, -INF], {"mirostat_tau": 0.7, "mirostat": 1.0}, {}, {0, 1, 2}, set()),
        ([0, 0, 0, -INF], {"mirostat_tau": 0.7, "mirostat": 1.0}, {"population": "vocabulary"}, set(), {0, 1, 2}),
    ],
)
def test_what_mirostat_keeps(logits, parameters, reading, must, may):
    assert kept(belief_of(logits, "mirostat", reading, **parameters)) == (must, may)


def k_of(z, mu):
    """The formula of the paper, word for word: k, and the ε that it divides by."""
    z = sorted(z, reverse=True)
    t = [math.log((i + 1) / i) for i in range(1, len(z))]
    b = [z[i] - z[i + 1] for i in range(len(z) - 1)]
    s = sum(x * y for x, y in zip(t, b, strict=True)) / sum(x * x for x in t)
    epsilon = s - 1
    return (epsilon * 2**mu / (1 - len(z) ** -epsilon)) ** (1 / s), epsilon


@given(z=st.lists(st.integers(-40, 0), min_size=2, max_size=12, unique=True), tau=st.floats(0.2, 3))
@example(z=[-6, -7, -37, -24, -20, -30, -16, -13, -27, -21], tau=1.0)
@settings(max_examples=300)
def test_mirostat_one_keeps_the_k_of_the_paper(z, tau):
    row = [x / 8 for x in z]
    k, epsilon = k_of(row, 2 * tau)
    must, may = kept(belief_of(row, "mirostat", mirostat_tau=tau, mirostat=1.0))
    largest = sorted(range(len(row)), key=lambda i: -row[i])[: max(1, int(min(k, len(row))))]
    assert must <= set(largest) <= must | may
    # near ε = 0 single precision loses every digit of 1 − N^−ε
    if abs(k - round(k)) > 1e-2 * k and k < len(row) - 1 and abs(epsilon) > 1e-3:
        assert not may


@pytest.mark.parametrize(("reading", "surprise"), [({}, 2.0), ({"surprise": "kept"}, -math.log2(0.25 / 0.75))])
def test_mirostat_remembers_the_surprise(reading, surprise):
    row = np.array([logs(0.5, 0.25, 0.125, 0.125)], np.float32)
    given = {"mirostat_tau": np.array([1.1]), "mirostat_eta": np.array([0.5])}
    settled = Reading(settled={("mirostat", name): value for name, value in reading.items()})
    memory = remember(row, ["mirostat"], given, np.array([1]), arithmetic=FLOAT32, reading=settled)
    span = memory["mirostat"]["mu"]
    assert span.low[0] <= 2.2 - 0.5 * (surprise - 1.1) <= span.high[0]
    assert span.high[0] - span.low[0] < 1e-3
    again = remember(row, ["mirostat"], given, np.array([0]), arithmetic=FLOAT32, reading=settled, memory=memory)
    assert again["mirostat"]["mu"].low[0] > span.high[0]


@pytest.mark.parametrize(("start", "mean"), [("target", (0.5 / 0.2 * 0.8 + 0.9) / (1 / 0.2 * 0.8 + 1)), ("empty", 0.9)])
def test_adaptive_p_steers_by_the_mean(start, mean):
    row = np.array([logs(0.9, 0.1)], np.float32)
    given = {"adaptive_target": np.array([0.5]), "adaptive_decay": np.array([0.8])}
    reading = Reading(settled={("adaptive_p", "start"): start})
    memory = remember(row, ["adaptive_p"], given, np.array([0]), arithmetic=FLOAT32, reading=reading)
    belief = believe(row, ["adaptive_p"], given, arithmetic=FLOAT32, reading=reading, memory=memory)
    adapted = min(max(2 * 0.5 - mean, 0), 1)
    for token, p in enumerate((0.9, 0.1)):
        d = abs(p - adapted) / 0.3
        assert belief.z[0, token] == pytest.approx(5 - 10 * d * d / (1 + d), abs=1e-4)
        assert belief.error[0, token] < 1e-2
    assert belief.must.all()


def lengths_of(history, breakers=()):
    """By trying every end and every length."""
    longest = {}
    for end in range(len(history) - 1):
        for length in range(1, end + 2):
            suffix = history[len(history) - length :]
            if history[end - length + 1 : end + 1] == suffix and not set(suffix) & set(breakers):
                follower = history[end + 1]
                longest[follower] = max(longest.get(follower, 0), length)
    return longest


@given(
    history=st.lists(st.integers(0, 2), max_size=12),
    allowed=st.integers(1, 3),
    last_n=st.sampled_from([-1, 0, 1, 3, 6]),
    breakers=st.sets(st.integers(0, 3), max_size=1),
)
@settings(max_examples=300)
def test_dry_is_the_longest_repetition_of_all(history, allowed, last_n, breakers):
    window = history if last_n < 0 else history[max(0, len(history) - last_n) :]
    belief = belief_of(
        [0.0] * 4,
        "dry",
        history=history,
        dry_multiplier=0.5,
        dry_base=2.0,
        dry_allowed_length=allowed,
        dry_penalty_last_n=last_n,
        dry_sequence_breakers=np.array([float(i in breakers) for i in range(4)]),
    )
    expected = [0.0] * 4
    for token, length in lengths_of(window, breakers).items():
        if length >= allowed and token not in breakers:
            expected[token] = -0.5 * 2.0 ** (length - allowed)
    np.testing.assert_allclose(belief.z[0], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("reading", "history", "given", "prices"),
    [
        ({}, [0, 2, 0], {"dry_sequence_breakers": [0.0, 0, 1]}, {}),
        ({"breaker": "lowered"}, [0, 2, 0], {"dry_sequence_breakers": [0.0, 0, 1]}, {2: 1}),
        ({}, [0, 1, 2, 0], {"dry_sequence_breakers": [0.0, 0, 1]}, {1: 1}),
        ({"back_to_breaker": "must be exceeded"}, [0, 1, 2, 0], {"dry_sequence_breakers": [0.0, 0, 1]}, {}),
        ({}, [0, 0], {"dry_penalty_last_n": 0.0}, {}),
        ({"zero": "all"}, [0, 0], {"dry_penalty_last_n": 0.0}, {0: 1}),
        ({"negative": "off"}, [0, 0], {"dry_penalty_last_n": -1.0}, {}),
        ({}, [0] * 60, {"dry_base": 1.05}, {0: 1.05**58}),
        ({"longest": "fifty"}, [0] * 60, {"dry_base": 1.05}, {0: 1.05**49}),
        ({"longest": "twenty"}, [0] * 60, {"dry_base": 1.05}, {0: 1.05**19}),
    ],
)
def test_engines_differ_in_dry(reading, history, given, prices):
    belief = belief_of([0.0] * 3, "dry", reading, history, dry_multiplier=1.0, dry_allowed_length=1.0, **given)
    np.testing.assert_allclose(belief.z[0], [-prices.get(token, 0) for token in range(3)], rtol=1e-12)


def test_an_id_that_is_no_token_leaves_open_what_it_decides():
    # compared: token 1 continues (0, 7), L = 2; as an end of repetitions nothing, left out L = 1
    belief = belief_of([0.0, 0.0, 0.0], "dry", history=[0, 7, 1, 0, 7], dry_multiplier=1.0, dry_allowed_length=1.0)
    assert np.isinf(belief.error[0]).tolist() == [False, True, False]
    # a 7 that is clipped to 2 would hit token 1, which nothing fair does
    belief = belief_of([0.0, 0.0, 0.0], "dry", history=[2, 1, 0, 7], dry_multiplier=1.0, dry_allowed_length=1.0)
    assert belief.z[0].tolist() == [0, 0, 0]
    assert np.isfinite(belief.error[0]).all()
