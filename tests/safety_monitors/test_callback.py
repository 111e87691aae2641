"""The callback: what is declared is what is held against the tokens, by the oracle, under every fair reading."""

import json

import numpy as np
import pytest

from samplerfuzz.cases.logits import rows_of
from samplerfuzz.core.errors import ParameterError, UsageError
from samplerfuzz.core.seeding import stream
from samplerfuzz.oracle import History, believe, precision
from samplerfuzz.safety.declared import Declared
from samplerfuzz.safety.hooks.callback import TokenMonitor
from samplerfuzz.safety.step import statistics_of

ROW = np.array([3.0, 2.0, 1.0, 0.0, -np.inf])


def test_the_numbers_of_a_step_are_those_of_the_declared_law():
    step = TokenMonitor(Declared.of({"temperature": 0.5, "top_k": 3}))(ROW, 1)
    kept = np.array([True, True, True, False, False])
    expected = statistics_of(ROW[None], kept[None], [1], 0.5)[0]
    assert (step["kept"], step["rank"]) == (3, 1)
    assert list(step.values())[:6] == pytest.approx(list(expected[:6]))


def test_a_token_outside_the_kept_set_is_an_alarm_at_once():
    monitor = TokenMonitor(Declared.of({"temperature": 1.0, "top_k": 2}))
    monitor(ROW, 0)
    assert monitor.alarms == ()
    monitor(ROW, 2)
    assert monitor.alarms == ("kept set",)
    assert monitor.support.alarm_at == 2


def test_a_tie_at_the_cut_is_excused_and_its_step_counts_for_nothing_else():
    tied = np.array([2.0, 1.0, 1.0, 0.0])
    monitor = TokenMonitor(Declared.of({"temperature": 1.0, "top_k": 2}, dialect="vllm"))
    for token in (1, 2):
        monitor(tied, token)
    assert (monitor.alarms, monitor.support.excused, monitor.open, monitor.surprisal.test.steps) == ((), 2, 2, 0)
    monitor(tied, 3)
    assert monitor.alarms == ("kept set",)


def test_a_greedy_sampler_may_break_ties_as_it_likes():
    monitor = TokenMonitor(Declared.of({"temperature": 0.0}, dialect="vllm"))
    for token in (0, 1):
        monitor(np.array([1.0, 1.0, 0.0]), token)
    assert monitor.alarms == ()
    monitor(np.array([1.0, 1.0, 0.0]), 2)
    assert monitor.alarms == ("kept set",)


def test_a_coin_leaves_the_law_open_and_both_of_its_sides_are_excused():
    declared = Declared.of({"temperature": 1.0, "xtc_threshold": 0.1, "xtc_probability": 0.5})
    law = declared.law(np.log([0.5, 0.3, 0.2]))
    assert not law.known
    assert law.kept.all()
    assert law.must.tolist() == [False, False, True]


def test_penalties_are_those_of_the_tokens_so_far():
    declared = Declared.of({"repetition_penalty": 2.0, "temperature": 0.7})
    assert declared.reads_history
    law = declared.law(ROW, history=[0, 3])
    belief = believe(
        ROW[None], declared.order, {"repetition_penalty": np.array([2.0]), "temperature": np.array([0.7])},
        arithmetic=precision("float32"), history=History.of([[0, 3]]),
    )  # fmt: skip
    assert law.temperature == 1.0
    np.testing.assert_array_equal(law.logits, belief.z[0])
    assert law.logits[0] - law.logits[1] == pytest.approx((1.5 - 2.0) / 0.7)


def test_correct_tokens_of_every_dialect_raise_no_alarm():
    rng = stream(1, "callback")
    for dialect in ("samplerfuzz", "vllm", "transformers", "llama.cpp", "mlx-lm"):
        declared = Declared.of({"temperature": 0.8, "top_k": 20, "top_p": 0.9, "min_p": 0.02}, dialect=dialect)
        monitor = TokenMonitor(declared, registry=[1, 2], baseline=0.4)
        for row in rows_of("normal", rng, 100, 60):
            law = declared.law(row)
            p = np.where(law.must, np.exp((law.logits - law.logits.max()) / law.temperature), 0.0)
            monitor(row, int(rng.choice(60, p=p / p.sum())))
        assert monitor.alarms == ()
        assert monitor.steps == 100


def test_a_poisoned_row_is_counted_and_judged_by_nobody():
    monitor = TokenMonitor(Declared.of({"temperature": 1.0}))
    for row in ([np.nan, 0.0], [np.inf, 0.0], [-np.inf, -np.inf]):
        assert monitor(row, 0)["entropy"] is None
    assert (monitor.poisoned, monitor.steps, monitor.alarms, monitor.support.steps) == (3, 3, (), 0)


def test_shards_merge_and_survive_json():
    rng = stream(2, "shards")
    declared = Declared.of({"temperature": 1.3, "min_p": 0.05})
    whole, *parts = (TokenMonitor(declared, registry=[3], baseline=0.1) for _ in range(3))
    for step, row in enumerate(rows_of("normal", rng, 80, 30)):
        for monitor in (whole, parts[step % 2]):
            monitor(row, int(row.argmax()))
    first = TokenMonitor.from_json(json.loads(json.dumps(parts[0].to_json(), allow_nan=False)), declared=declared)
    first.merge(parts[1])
    told, expected = first.describe(), whole.describe()
    assert (told["steps"], told["alarms"]) == (80, expected["alarms"])
    for name, summary in expected["statistics"].items():
        assert told["statistics"][name] == pytest.approx(summary, rel=1e-7, abs=1e-9)
    json.dumps(told, allow_nan=False)


def test_what_cannot_be_watched_is_refused():
    with pytest.raises(UsageError, match="nothing declared"):
        TokenMonitor()(ROW, 0)
    with pytest.raises(UsageError, match="remembers its steps"):
        Declared.of({"mirostat_tau": 3.0, "mirostat_eta": 0.1}, dialect="llama.cpp")
    with pytest.raises(ParameterError, match="has no parameter"):
        Declared.of({"xtc_threshold": 0.1}, dialect="vllm")
    with pytest.raises(ParameterError, match="an id below V"):
        TokenMonitor(Declared.of({"temperature": 1.0}))(ROW, 5)
    with pytest.raises(ParameterError, match="has a registry and the other none"):
        TokenMonitor(registry=[1]).merge(TokenMonitor())
    with pytest.raises(UsageError, match="samplerfuzz token monitor"):
        TokenMonitor.from_json({"format": "another"})


def test_half_of_alpha_goes_to_each_test():
    both, one = TokenMonitor(registry=[1], alpha=1e-3), TokenMonitor(alpha=1e-3)
    assert both.surprisal.test.alpha == both.anomalous.test.alpha == 5e-4
    assert one.surprisal.test.alpha == 1e-3
