"""The monitor of distributions: a baseline of texts, an alarm at a stated rate, and no alarm above it."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from samplerfuzz.core.errors import UsageError
from samplerfuzz.safety import DistributionMonitor, Observation, Profile, load_profile
from samplerfuzz.safety.profile import columns_of, text_of
from samplerfuzz.safety.sketch import Sketch
from samplerfuzz.safety.validators.distribution import compare

NUMBERS = st.lists(st.floats(-1e6, 1e6), max_size=30)


def text(rng, *, heat=1.0, least=4, most=60):
    """Steps that depend on each other: the entropy of a text wanders about a level of its own."""
    level, steps = rng.gamma(4.0), []
    for _ in range(int(rng.integers(least, most))):
        level = 0.8 * level + 0.2 * rng.gamma(4.0)
        entropy = level * heat
        steps.append({"entropy": entropy, "varentropy": entropy * rng.gamma(2.0), "skewness": rng.normal(), "kept": 50.0})
    return steps


@pytest.fixture(scope="module")
def baseline():
    rng = np.random.default_rng(5)
    return Profile.of([text(rng) for _ in range(120)], model="m", settings={"temperature": 1.0})


def said(monitor, steps):
    return list(monitor.check(Observation(statistics=steps)))


def test_a_text_like_the_baseline_alarms_at_most_as_often_as_stated():
    # each trial has a baseline of its own: the rate is one over baselines and texts together
    alpha, trials, rng = 0.05, 400, np.random.default_rng(11)
    alarms = 0
    for _ in range(trials):
        texts = [text_of(columns_of(text(rng, most=20))) for _ in range(20)]
        alarms += compare(texts[0], texts[1:]).p <= alpha
    # the level of this test is 1e-6; were the rate 0.16, it would fail with a probability above 0.99
    assert binom.sf(alarms - 1, trials, alpha) > 1e-6, alarms


def test_a_text_at_twice_the_heat_is_noticed(baseline):
    rng, monitor = np.random.default_rng(3), DistributionMonitor(baseline)
    noticed = sum(any(r.severity in ("medium", "high") for r in said(monitor, text(rng, heat=6.0, least=30))) for _ in range(20))
    assert noticed >= 18
    result = said(monitor, text(rng, heat=50.0, least=30))[0]
    assert result.severity == "high"
    assert result.evidence["p"] <= result.evidence["alpha"]
    assert max(result.evidence["outside"].values()) == 1.0
    json.dumps(result.to_json(), allow_nan=False)


def test_a_p_value_is_the_share_of_the_pool_that_scores_as_much():
    texts = [text_of({"entropy": [float(i)] * 4}) for i in range(9)]
    found = compare(text_of({"entropy": [100.0] * 4}), texts)
    assert found.p == pytest.approx(1 / 10)
    assert compare(text_of({"entropy": [4.5] * 4}), texts).p == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("counter", "words"), [("nan", "a NaN among the logits"), ("inf", "an infinite logit"), ("all_masked", "no token")]
)
def test_a_step_without_a_distribution_is_always_said(counter, words):
    steps = [{"entropy": 1.0, counter: 0}, {"entropy": None, counter: 2}]
    result = said(DistributionMonitor(), steps)[0]
    assert (result.severity, result.evidence["first"]) == ("high", 1)
    assert words in result.message


@pytest.mark.parametrize(
    ("profile", "steps", "words"),
    [
        (None, [], "no statistics"),
        (None, [{"entropy": 1.0}], "no profile"),
        (Profile.of([[{"entropy": 1.0}]] * 5), [{"entropy": 1.0}], "take one of at least 99"),
        (Profile.of([[{"entropy": 1.0}]] * 120), [{"kept": 3}], "none in common"),
    ],
)
def test_what_was_not_compared_is_said(profile, steps, words):
    results = said(DistributionMonitor(profile), steps)
    assert [r.severity for r in results] == ["info"]
    assert words in results[0].message


def test_undefined_and_huge_statistics_are_borne(baseline):
    steps = [{"entropy": math.nan, "skewness": None, "log_max_min_ratio": math.inf}, {"entropy": 1e308}, {}] * 3
    assert said(DistributionMonitor(baseline), steps)[0].severity == "high"


def test_a_constant_statistic_accuses_nobody(baseline):
    rng = np.random.default_rng(8)
    found = compare(text_of(columns_of(text(rng))), baseline.texts)
    assert found.units["kept"] == 0


def test_profiles_merge_to_the_profile_of_all_texts(tmp_path):
    rng = np.random.default_rng(2)
    texts = [text(rng) for _ in range(12)]
    merged, whole = Profile.of(texts[:5]).merge(Profile.of(texts[5:])), Profile.of(texts)
    assert merged.texts == whole.texts
    for name, sketch in whole.steps.items():
        other = merged.steps[name]
        assert (sketch.count, sketch.bins, sketch.least) == pytest.approx((other.count, other.bins, other.least), nan_ok=True)
        assert (sketch.mean, sketch.m2) == pytest.approx((other.mean, other.m2), rel=1e-9, abs=1e-9)


def test_profiles_of_different_settings_do_not_merge():
    with pytest.raises(UsageError, match="same settings"):
        Profile.of([], settings={"temperature": 1}).merge(Profile.of([], settings={"temperature": 2}))


def test_a_profile_on_disk_is_the_profile(tmp_path, baseline):
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(baseline.to_json(), allow_nan=False))
    loaded = load_profile(path)
    assert (loaded.texts, loaded.model, loaded.settings) == (baseline.texts, "m", {"temperature": 1.0})
    assert loaded.to_json() == baseline.to_json()


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("texts"),
        lambda d: d.update(format="other"),
        lambda d: d.update(texts=[{"steps": 1, "means": {"entropy": math.nan}}]),
        lambda d: d.update(texts=[{"steps": 1, "means": {"entropy": True}}]),
        lambda d: d["statistics"]["entropy"].update(count=1),
        lambda d: d["statistics"].update(entropy=3),
    ],
)
def test_a_damaged_profile_is_a_usage_error(tmp_path, baseline, change):
    data = json.loads(json.dumps(baseline.to_json()))
    change(data)
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match=r"profile\.json"):
        load_profile(path)


@pytest.mark.parametrize("alpha", [0, 1, -1, math.nan])
def test_an_alarm_rate_is_a_chance(alpha):
    with pytest.raises(UsageError):
        DistributionMonitor(alpha=alpha)


@given(NUMBERS, NUMBERS)
def test_moments_merge(left, right):
    merged, whole = Sketch.of(left).merge(Sketch.of(right)), Sketch.of(left + right)
    assert (merged.count, dict(merged.bins)) == (whole.count, dict(whole.bins))
    assert merged.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-6)
    assert merged.m2 == pytest.approx(whole.m2, rel=1e-9, abs=1e-3)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.floats(0.01, 1.0))
def test_a_quantile_is_right_up_to_a_bin(values, q):
    exact = sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
    assert abs(math.asinh(Sketch.of(values).quantile(q)) - math.asinh(exact)) <= 0.0050001
