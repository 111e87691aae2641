"""What a list of log-probabilities leaves known is exact: over all tokens that can be drawn, each bet's factor has a mean of at most 1, however servers tell their lists."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplerfuzz.core.seeding import stream
from samplerfuzz.safety.monitors.listed import ListedSteps, evidence, vectors_of
from samplerfuzz.safety.monitors.surprisal import BETS
from samplerfuzz.safety.monitors.temperature import TemperatureMonitor
from samplerfuzz.safety.proxy.told import told, told_older
from samplerfuzz.safety.step import FIELDS, PSI, SLOPE, index, statistics_of

READ = [*(index(name) for name in ("entropy", "varentropy", "kept", "surprisal", "excess")), *range(PSI.start, SLOPE.stop)]


def test_the_vectors_are_those_of_the_definition():
    rng = stream(1, "listed")
    logits = rng.normal(0, 4, (200, 6))
    logits[rng.random(logits.shape) < 0.3] = -np.inf
    logits[:, 0] = rng.normal(0, 4, 200)
    drawn = np.array([rng.choice(np.flatnonzero(row > -np.inf)) for row in logits])
    expected = statistics_of(logits, logits > -np.inf, drawn, 1.0)
    found = vectors_of(logits, drawn)
    assert found.shape == (200, len(FIELDS))
    np.testing.assert_allclose(found[:, READ], expected[:, READ], rtol=1e-9, atol=1e-9)


def one(logits, drawn, rest=math.nan):
    return ListedSteps(logits=np.array([logits]), drawn=np.array([drawn]), rest=np.array([rest]), slack=np.zeros(1))


def factors(found):
    return np.exp(found.logs.sum(0)) if len(found.logs) else np.ones(len(BETS))


probabilities = st.lists(st.integers(1, 1000), min_size=4, max_size=9).map(lambda w: np.array(w) / sum(w))


@given(probabilities, st.integers(2, 3), st.floats(0, 1))
def test_no_bet_wins_on_average_though_some_tokens_are_never_told(p, size, hidden):
    """`hidden`: the share of what is outside the set that is drawn and never told."""
    rest = float(p[size:].sum())
    inside = [factors(evidence(one(np.log(p[:size]), token, rest))) for token in range(size)]
    outside = factors(evidence(one(np.log(p[:size]), -1, rest)))
    mean = sum(weight * factor for weight, factor in zip(p, inside, strict=False)) + rest * ((1 - hidden) * outside + hidden)
    assert (mean <= 1 + 1e-9).all()
    whole = sum(weight * factor for weight, factor in zip(p, inside, strict=False)) + rest * outside
    assert (whole >= 1 - 0.01).all()  # and only what pays for rounding is missing


SERVERS = {
    "the most probable": lambda best, token: best,
    "the drawn one added": lambda best, token: best if token in best else [token, *best],
    "the drawn one added at the end": lambda best, token: best if token in best else [*best, token],
    "the drawn one in the last place": lambda best, token: best if token in best else [*best[:-1], token],
    "fewer than asked for, and the drawn one": lambda best, token: best[:-1] if token in best[:-1] else [token, *best[:-1]],
}


@given(
    st.lists(st.integers(1, 6), min_size=6, max_size=9).map(lambda w: np.array(w) / sum(w)),
    st.sampled_from(sorted(SERVERS)),
    st.integers(3, 5),
    st.sets(st.integers(0, 8)),
    st.booleans(),
)
def test_no_bet_wins_on_average_however_a_server_adds_the_drawn_token(p, server, asked, odd, older):
    """Few different weights: ties everywhere, at the end of the list too."""
    names = [f"<{i}>" if i in odd else f"w{i}" for i in range(len(p))]
    best = [int(i) for i in np.argsort(-p, kind="stable")[:asked]]
    mean = np.zeros(len(BETS))
    for token, weight in enumerate(p):
        rows = SERVERS[server](best, token)
        own = float(np.log(weight))
        if older:
            position = told_older(names[token], own, {names[i]: float(np.log(p[i])) for i in rows})
        else:
            listed = [{"token": names[i], "logprob": float(np.log(p[i]))} for i in rows]
            position = told({"token": names[token], "logprob": own, "top_logprobs": listed})
        members = position.members(asked)
        place = position.place(members)
        if len(members) < 2 or names[token].startswith("<"):  # a special token is not told where it is drawn
            mean += weight
            continue
        mean += weight * factors(evidence(one([position.logprobs[m] for m in members], -1 if place is None else place)))
    assert (mean <= 1 + 1e-9).all()


def test_rounded_numbers_cost_the_bets_and_widen_the_interval():
    p = np.log([0.6, 0.3, 0.1])
    exact, rounded = one(p, 0), ListedSteps(logits=p[None], drawn=np.array([0]), rest=np.array([math.nan]), slack=np.array([0.005]))
    assert (evidence(rounded).logs < evidence(exact).logs).all()
    intervals = []
    for slack in (0.0, 0.005):
        estimate = TemperatureMonitor(alpha=0.01)
        estimate.update(np.repeat(vectors_of(np.tile(p, (3, 1)), np.arange(3)), [600, 300, 100], 0), slack)
        intervals.append(estimate.interval)
    (low, high), (lower, higher) = intervals
    assert lower < low < 1 < high < higher


def test_a_rest_that_rounding_could_have_left_is_not_known():
    p = np.log([0.6, 0.4 - 1e-6])
    assert len(evidence(one(p, -1, 1e-6)).logs) == 0
    assert len(evidence(one(p, -1, 0.0)).logs) == 0
    assert len(evidence(one(np.log([0.6, 0.3]), -1, 0.1)).logs) == 1


def row(text, logprob, **more):
    return {"token": text, "logprob": logprob, **more}


TINY = 1e-7  # digits enough that nothing was rounded
LISTED = [row("a", -0.5 - TINY), row("b", -1.5), row("c", -2.5), row("d", -3.5)]


def test_only_tokens_that_are_surely_told_are_of_the_set():
    odd = ["", " ", "<|im_end|>", "</s>", "[EOS]", "\ufffd", "é", "token_id:2"]
    for text in odd:
        position = told({**LISTED[0], "top_logprobs": [LISTED[0], row(text, -1.0), *LISTED[1:]]})
        assert [position.names[place][0] for place in position.members(5)] == ["a", "b", "c"]
    half = row("é", -1.0, bytes=[195])
    whole = row("é", -1.0, bytes=[195, 169])
    for item, is_there in ((half, False), (whole, True)):
        position = told({**item, "top_logprobs": [row("a", -0.5 - TINY, bytes=[97]), item, *LISTED[1:]]})
        assert (position.place(position.members(5)) == 1) == is_there


def test_a_token_called_like_a_listed_one_is_not_taken_for_it():
    position = told({**row("a", -7.0), "top_logprobs": LISTED})
    assert position.place(position.members(4)) is None
    twice = told({**LISTED[0], "top_logprobs": [LISTED[0], row("a", -1.0), *LISTED[1:]]})
    assert [twice.logprobs[place] for place in twice.members(5)] == [-1.5, -2.5]


def test_what_is_no_list_says_nothing():
    for item in ({}, row("a", -0.5), {**row("a", 0), "top_logprobs": []}, {**row("a", 0), "top_logprobs": [1]}, 7):
        assert told(item) is None
    bad = told({**row("a", -0.5), "top_logprobs": [row("a", math.nan), row("b", "x"), row("c", -1.0)]})
    assert bad.members(3) == []


@pytest.mark.parametrize(
    ("numbers", "slack"), [((-0.51, -1.2), 0.005), ((-0.5123, -1.25), 5e-5), ((-0.51234567, -1.25), 1e-5), ((-1, -2), 0.5)]
)
def test_the_digits_say_how_far_a_number_is_rounded(numbers, slack):
    position = told({**row("a", numbers[0]), "top_logprobs": [row("a", numbers[0]), row("b", numbers[1])]})
    assert position.slack == pytest.approx((slack, slack))
