"""Each validator notices its kind of thing, says how bad it is, and is silent about ordinary requests and texts."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from samplerfuzz.core.errors import UsageError
from samplerfuzz.probe.census.registry import AnomalousTokens
from samplerfuzz.safety import (
    AnomalousTokenDetector,
    Bound,
    Observation,
    Policy,
    RepetitionChecker,
    SamplingParamsValidator,
    TemperatureValidator,
    TokenAnomalyDetector,
)
from samplerfuzz.safety.bounds import default_bounds
from samplerfuzz.safety.validators.repetition import repetition_of
from samplerfuzz.safety.validators.tokens import share_of

REGISTRY = AnomalousTokens(
    model="m", model_sha256="0", tokenizer_sha256="0", threshold=0.01, tokens={7: 1e-5, 9: 1e-4}, texts={7: "Kontrola", 9: "isko"}
)


def said(validator, **observed):
    return list(validator.check(Observation(**observed)))


@pytest.mark.parametrize(
    ("temperature", "severity"),
    [
        (2.5, "medium"),
        (3.0, "medium"),
        (3.1, "high"),
        (-0.5, "high"),
        (-1.5, "high"),
        (math.nan, "high"),
        (math.inf, "high"),
        ("1", "high"),
    ],
)
def test_a_temperature_out_of_range_is_said_with_its_severity(temperature, severity):
    results = said(TemperatureValidator(), config={"temperature": temperature})
    assert [(r.severity, r.parameter) for r in results] == [(severity, "temperature")]


@pytest.mark.parametrize("temperature", [0, 0.7, 2.0, None])
def test_an_ordinary_temperature_is_not_mentioned(temperature):
    assert not said(TemperatureValidator(), config={"temperature": temperature, "top_k": -9})


def test_a_temperature_with_leave_to_be_negative_is_anomalous_below_minus_one():
    bounds = {**default_bounds(), "temperature": Bound(minimum=-0.5, maximum=2.0)}
    validator = TemperatureValidator(policy=Policy(parameters=bounds, allow_negative_temperature=True))
    assert not said(validator, config={"temperature": -0.5})
    assert [r.severity for r in said(validator, config={"temperature": -0.9})] == ["medium"]
    assert [r.message for r in said(validator, config={"temp": -1.1})] == ["temp=-1.1 is anomalous: it is outside [-1, 3]"]


def test_every_parameter_is_validated():
    validator = SamplingParamsValidator()
    for name in default_bounds():
        bad = {name: {"5": math.nan} if name == "logit_bias" else math.nan}
        assert "high" in {r.severity for r in said(validator, config=bad) if r.parameter == name}, name


def test_the_shares_of_anomalous_tokens_are_told_with_exact_intervals():
    found = AnomalousTokenDetector(REGISTRY).detect([7, 1, 7, 9, 2, 3, 4, 5, 6, 8])
    assert {token: share.share for token, share in found.each.items()} == {7: 0.2, 9: 0.1}
    assert (found.total.count, found.total.of, found.total.share) == (3, 10, 0.3)
    exact = binomtest(3, 10).proportion_ci(method="exact")
    assert (found.total.low, found.total.high) == pytest.approx((exact.low, exact.high), rel=1e-6)
    assert found.texts == {7: "Kontrola", 9: "isko"}


@given(st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_is_that_of_clopper_and_pearson(counted):
    count, of = counted
    share = share_of(count, of)
    # each end is the chance at which as much, or as little, comes in 2.5 % of all cases
    assert (share.low == 0) == (count == 0)
    assert (share.high == 1) == (count == of)
    if count > 0:
        assert binom.sf(count - 1, of, share.low) == pytest.approx(0.025, rel=1e-9)
    if count < of:
        assert binom.cdf(count, of, share.high) == pytest.approx(0.025, rel=1e-9)


@pytest.mark.parametrize(("tokens", "severities"), [([1, 2, 3], []), ([7] + [1] * 5000, ["low"]), ([7] * 30, ["high"]), ([], [])])
def test_anomalous_tokens_are_said_as_badly_as_they_are(tokens, severities):
    results = said(TokenAnomalyDetector(REGISTRY), tokens=tokens)
    assert [r.severity for r in results] == severities
    json.dumps([r.to_json() for r in results], allow_nan=False)


def test_what_was_not_examined_is_said():
    assert [r.severity for r in said(TokenAnomalyDetector(REGISTRY), text="Kontrola")] == ["info"]
    assert [r.severity for r in said(TokenAnomalyDetector(), tokens=[1])] == ["info"]


def test_a_registry_is_found_by_the_name_of_its_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="probe census tiny"):
        AnomalousTokenDetector("tiny")
    folder = tmp_path / "reports" / "census-tiny"
    folder.mkdir(parents=True)
    (folder / "registry.json").write_text(json.dumps(REGISTRY.to_json()))
    assert AnomalousTokenDetector("tiny").registry == REGISTRY
    assert AnomalousTokenDetector(folder / "registry.json").registry == REGISTRY


def test_a_detector_without_a_registry_detects_nothing_silently():
    with pytest.raises(UsageError, match="registry"):
        AnomalousTokenDetector().detect([1])


@pytest.mark.parametrize("tolerated", [-0.1, 1.1, math.nan])
def test_a_tolerated_share_is_a_share(tolerated):
    with pytest.raises(UsageError):
        TokenAnomalyDetector(REGISTRY, tolerated=tolerated)


def test_repetition_is_measured_as_published():
    found = repetition_of([1, 2, 3, 4, 1, 2, 3, 4, 1])
    assert found.distinct == {1: 4 / 9, 2: 4 / 8, 3: 4 / 7, 4: 4 / 6}
    assert found.seq_rep[4] == pytest.approx(2 / 6)
    assert (found.loop.period, found.loop.start, found.looping) == (4, 0, 9)
    assert repetition_of([]).to_json() == {"tokens": 0, "distinct": {}, "seq_rep": {}, "loop_period": 0, "time_to_loop": None}


@pytest.mark.parametrize(
    ("observed", "severities"),
    [
        ({"tokens": list(range(200))}, []),
        ({"tokens": [5, 6, 7, *([1, 2, 3] * 20)]}, ["high", "medium"]),
        ({"tokens": [*range(100), *([1, 2] * 20)]}, ["high"]),
        ({"tokens": [*([1, 2, 3] * 30), 9, 8]}, ["medium"]),
        ({"tokens": [4, 4, 4]}, []),
        ({"text": "no " * 3}, []),
        ({"text": "no " * 60}, ["high", "medium"]),
        ({"text": ""}, []),
        ({"text": "one two three"}, []),
    ],
)
def test_repetition_is_said_where_a_text_repeats_itself(observed, severities):
    assert [r.severity for r in said(RepetitionChecker(), **observed)] == severities


def test_the_loop_is_said_with_its_period_and_the_time_to_it():
    result = said(RepetitionChecker(), tokens=[5, 6, 7, *([1, 2, 3] * 20)])[0]
    assert (result.evidence["loop_period"], result.evidence["time_to_loop"]) == (3, 3)
    assert "from token 3 on" in result.message
