"""The guarantees as exact sums over all outcomes, the estimates against their definitions, and what the monitors must not do."""

import json

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom

from samplerfuzz.cases.logits import rows_of
from samplerfuzz.core.errors import ParameterError, UsageError
from samplerfuzz.core.seeding import stream
from samplerfuzz.probe.exact import tempered
from samplerfuzz.safety.monitors.anomalous import AnomalousTokenMonitor
from samplerfuzz.safety.monitors.sequential import SequentialTest
from samplerfuzz.safety.monitors.support import SupportMonitor
from samplerfuzz.safety.monitors.surprisal import SurprisalMonitor
from samplerfuzz.safety.monitors.temperature import TemperatureMonitor
from samplerfuzz.safety.step import FIELDS, index, statistics_of

ALPHA = 1e-4
ROWS = {
    regime: rows_of(regime, stream(1, regime), 1, 40)[0] for regime in ("normal", "peaked", "masked", "tied", "two-humped", "long tail")
}


def outcomes(row, temperature=1.0, kept=None):
    """Return the tokens that can be drawn, their probabilities and the vectors of each outcome."""
    inside = (row > -np.inf) if kept is None else kept
    ids = np.flatnonzero(inside)
    p = tempered(np.where(inside, row, -np.inf), np.array([1 / temperature])).p[0][ids]
    return ids, p, statistics_of(np.repeat(row[None], len(ids), 0), np.repeat(inside[None], len(ids), 0), ids, temperature)


def drawn(row, *, at, declared, count, rng):
    """Return the vectors of `count` tokens that a sampler at temperature `at` draws, under the declared one."""
    ids, _, vectors = outcomes(row, declared)
    return vectors[rng.choice(len(ids), count, p=tempered(row, np.array([1 / at])).p[0][ids])]


@pytest.mark.parametrize("regime", ROWS)
@pytest.mark.parametrize("temperature", [1.0, 0.3, 3.0, -1.0])
def test_every_bet_of_the_surprisal_monitor_is_fair_to_the_last_digit(regime, temperature, monkeypatch):
    ids, p, vectors = outcomes(ROWS[regime], temperature)
    factors = []
    monkeypatch.setattr(SequentialTest, "observe", lambda self, increments: factors.append(np.exp(increments)))
    SurprisalMonitor(alpha=ALPHA).update(vectors)
    mean = p @ factors[0]
    assert (mean <= 1).all()
    assert (mean > 1 - 1e-3).all(), "what is paid for rounding is small"
    assert len(ids) == len(factors[0])


@pytest.mark.parametrize("baseline", [1e-4, 0.01, 0.3])
def test_the_mixture_over_rates_never_gains_under_the_null(baseline):
    monitor = AnomalousTokenMonitor([0], baseline=baseline, alpha=ALPHA)

    def log_e(k, n):
        return monitor._log_e(np.stack(np.broadcast_arrays(k, n), -1).astype(np.float64))

    for n in (0, 1, 10, 200):
        k = np.arange(n + 1)
        assert np.exp(binom.logpmf(k, n, baseline) + log_e(k, n)).sum() == pytest.approx(1, abs=1e-6)
        more, less = (np.exp(log_e(at, n + 1) - log_e(k, n)) for at in (k + 1, k))
        for rate in (baseline, baseline / 2, 0.0):
            assert (rate * more + (1 - rate) * less <= 1 + 1e-9).all()


def test_a_sampler_at_another_temperature_is_told():
    rng = stream(2, "hot")
    monitor = SurprisalMonitor(alpha=ALPHA)
    monitor.update(drawn(ROWS["normal"], at=1.1, declared=1.0, count=20_000, rng=rng))
    assert monitor.alarm
    assert monitor.describe()["deviations"] > 5


def test_a_correct_sampler_is_not_accused():
    rng = stream(3, "clean")
    monitor, estimate = SurprisalMonitor(alpha=ALPHA), TemperatureMonitor(alpha=ALPHA)
    for regime in ROWS:
        vectors = drawn(ROWS[regime], at=0.8, declared=0.8, count=50_000, rng=rng)
        monitor.update(vectors)
        estimate.update(vectors)
    assert not monitor.alarm
    low, high = estimate.interval
    assert low < 1 < high


@pytest.mark.parametrize("true", [0.6, 0.97, 1.0, 1.15, 1.9])
def test_the_estimate_solves_the_mean_of_the_emitted_logits(true):
    rows = [ROWS[name].astype(np.float64) for name in ("normal", "masked", "long tail")]
    estimate, emitted = TemperatureMonitor(alpha=0.01), 0.0
    for row in rows:
        ids, _, vectors = outcomes(row, 0.7)
        # whole outcomes in exact proportion instead of draws: the likeliest factor is the true one
        hot = tempered(row, np.array([1 / (0.7 * true)])).p[0][ids]
        times = np.round(hot * 20_000).astype(int)
        estimate.update(np.repeat(vectors, times, 0))
        emitted += (times * row[ids]).sum() / times.sum()

    def short(beta):
        return sum(float(tempered(row, np.array([beta])).mean[0]) for row in rows) - emitted

    expected = 1 / brentq(short, 0.01, 20.0) / 0.7
    assert expected == pytest.approx(true, rel=5e-3)
    assert estimate.factor == pytest.approx(expected, rel=5e-3)
    low, high = estimate.interval
    assert low < expected < high
    assert high - low < (0.06 if 0.9 < true < 1.1 else 0.5)


def test_an_estimate_without_spread_is_none():
    row = np.zeros((4, 5))
    estimate = TemperatureMonitor(alpha=ALPHA)
    estimate.update(statistics_of(row, row == 0, [0, 1, 2, 3], 1.0))
    assert estimate.factor is None
    assert estimate.interval == (None, None)
    assert not estimate.alarm


def test_a_fault_that_begins_late_is_told_soon():
    rng = stream(4, "late")
    row = ROWS["normal"]
    monitor = SurprisalMonitor(alpha=ALPHA, period=4096)
    monitor.update(drawn(row, at=1.0, declared=1.0, count=300_000, rng=rng))
    assert not monitor.alarm
    monitor.update(drawn(row, at=1.5, declared=1.0, count=20_000, rng=rng))
    assert monitor.alarm
    assert monitor.test.alarm_at < 300_000 + 2 * 4096


def test_the_shares_of_all_periods_add_up_to_alpha():
    test = SequentialTest(alpha=ALPHA, width=1, log_e=lambda sums: sums[..., 0], period=1)
    spent = np.exp(-test.threshold)
    for _ in range(2000):
        spent += np.exp(-test._threshold_of_period)
        test.observe(np.zeros((1, 1)))
    assert 0.99 * ALPHA < spent <= ALPHA


def make(kind):
    rng = stream(5, kind)
    row = ROWS["normal"]
    if kind == "anomalous":
        return lambda: AnomalousTokenMonitor([3, 5], baseline=0.02, alpha=ALPHA, period=64), rng.integers(0, 40, 500)
    vectors = drawn(row, at=1.3, declared=1.0, count=500, rng=rng)
    vectors[::50] = np.nan
    return (lambda: SurprisalMonitor(alpha=ALPHA, period=64)) if kind == "surprisal" else (lambda: TemperatureMonitor(alpha=ALPHA)), vectors


KINDS = ("surprisal", "temperature", "anomalous")


@pytest.mark.parametrize("kind", KINDS)
def test_how_a_stream_is_cut_changes_nothing(kind):
    new, data = make(kind)
    whole, pieces = new(), new()
    whole.update(data)
    for begin in range(0, len(data), 7):
        pieces.update(data[begin : begin + 7])
    assert pieces.describe() == pytest.approx(whole.describe(), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_merged_monitors_know_what_one_would(kind):
    new, data = make(kind)
    whole, first, second = new(), new(), new()
    whole.update(data)
    first.update(data[:200])
    second.update(data[200:])
    first.merge(second)
    told, expected = first.describe(), whole.describe()
    for name in ("steps", "log_e", "excess", "skipped", "temperature_over_declared", "low", "high", "count", "rate"):
        assert told.get(name) == pytest.approx(expected.get(name), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_survives_json_and_goes_on(kind):
    new, data = make(kind)
    straight, stopped = new(), new()
    straight.update(data)
    stopped.update(data[:300])
    again = type(stopped).from_json(json.loads(json.dumps(stopped.to_json(), allow_nan=False)))
    again.update(data[300:])
    assert again.describe() == pytest.approx(straight.describe(), rel=1e-9)
    json.dumps(again.describe(), allow_nan=False)


def test_a_state_of_another_kind_is_refused():
    with pytest.raises(UsageError, match="expected what `to_json` wrote"):
        SupportMonitor.from_json({"steps": 1})
    with pytest.raises(UsageError, match="another version"):
        TemperatureMonitor.from_json({**TemperatureMonitor(alpha=0.1).to_json(), "psi": [1.0]})
    state = SurprisalMonitor(alpha=0.1).to_json()
    state["test"]["whole"] = [0.0]
    with pytest.raises(UsageError, match="another monitor"):
        SurprisalMonitor.from_json(state)


def test_monitors_that_differ_are_not_merged():
    with pytest.raises(ParameterError, match="another alpha"):
        SurprisalMonitor(alpha=0.1).merge(SurprisalMonitor(alpha=0.2))
    with pytest.raises(ParameterError, match="another baseline"):
        AnomalousTokenMonitor([1], baseline=0.1, alpha=0.1).merge(AnomalousTokenMonitor([1], baseline=0.2, alpha=0.1))
    with pytest.raises(ParameterError, match="another confidence"):
        TemperatureMonitor(alpha=0.1).merge(TemperatureMonitor(alpha=0.2))


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0, float("nan")])
def test_alpha_is_a_probability(alpha):
    for make_one in (lambda: SurprisalMonitor(alpha=alpha), lambda: TemperatureMonitor(alpha=alpha)):
        with pytest.raises(ParameterError, match="expected a probability above 0 and below 1"):
            make_one()


def test_tokens_outside_are_counted_and_steps_without_a_token_skipped():
    row = np.array([[2.0, 1.0, 0.0]])
    outside, none = (statistics_of(row, row > 0.5, [token], 1.0) for token in (2, -1))
    monitor = SurprisalMonitor(alpha=ALPHA)
    monitor.update(np.concatenate([outside, none]))
    assert (monitor.skipped, monitor.test.steps) == (2, 0)
    support = SupportMonitor()
    support.update(outside=[False, False])
    support.update(outside=[True])
    assert (support.alarm_at, support.e_value) == (3, float("inf"))
    other = SupportMonitor()
    other.update(outside=[True, False])
    other.merge(support)
    assert other.describe() == {"monitor": "kept set", "steps": 5, "outside": 2, "excused": 0, "alarm_at": 1, "alarm": True}


def test_the_rate_of_anomalous_tokens_has_bounds_that_hold_it():
    rng = stream(6, "rate")
    monitor = AnomalousTokenMonitor([1], baseline=0.2, alpha=0.01)
    assert monitor.interval == (0.0, 1.0)
    monitor.update(np.zeros(50, int))
    assert monitor.interval[0] == 0.0
    assert monitor.interval[1] < 0.3
    monitor.update((rng.random(5000) < 0.15).astype(int))
    low, high = monitor.interval
    assert low < 0.15 < high < 0.2
    assert not monitor.alarm


def test_vectors_have_the_fields_that_the_monitors_read():
    assert len(FIELDS) == len(set(FIELDS))
    assert index("excess") < index("psi[0.5]") < index("slope[0.5]")
