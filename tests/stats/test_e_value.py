"""The e-process accuses what is biased and, by theorem and in practice, not what is honest."""

import itertools

import numpy as np
from scipy.stats import multinomial

from samplerfuzz.stats import ErrorBudget, log_e_independence, log_e_value


def test_evidence_against_a_wrong_law_grows():
    law = np.array([0.7, 0.2, 0.07, 0.03])
    counts = np.random.default_rng(0).multinomial(5000, [0.489, 0.471, 0.011, 0.029])
    assert log_e_value(counts, law, law) > 300


def test_drawing_the_impossible_is_infinite_evidence():
    assert log_e_value(np.array([9, 1]), np.array([1.0, 0.0]), np.array([1.0, 0.0])) == np.inf


def test_mean_e_value_under_the_null_is_at_most_one():
    law = np.array([0.5, 0.3, 0.2])
    rng = np.random.default_rng(1)
    values = [np.exp(log_e_value(rng.multinomial(50, law), law, law)) for _ in range(4000)]
    # P(mean of 4000 e-values > 1.5) is tiny by Markov on the product; the exact expectation is checked below
    total = 0.0
    n = 6
    for a in range(n + 1):
        for b in range(n + 1 - a):
            counts = np.array([a, b, n - a - b])
            total += multinomial(n, law).pmf(counts) * np.exp(log_e_value(counts, law, law))
    assert total <= 1 + 1e-9
    assert np.mean(values) < 1.5


def test_an_interval_null_is_gentler_than_a_point():
    counts = np.array([60, 40])
    point = log_e_value(counts, np.array([0.5, 0.5]), np.array([0.5, 0.5]))
    interval = log_e_value(counts, np.array([0.4, 0.4]), np.array([0.6, 0.6]))
    assert interval < point


def test_the_budget_never_exceeds_alpha():
    budget = ErrorBudget(1e-6)
    thresholds = [budget.next_threshold() for _ in range(2000)]
    assert np.exp(-np.array(thresholds)).sum() < 1e-6
    assert budget.spent < 1e-6


def test_a_tilt_is_seen_long_before_a_general_deviation():
    """A temperature 5 % off over twelve tokens: the tilt pays a constant where the mixture pays eleven parameters."""
    z = np.linspace(0, 5, 12)
    law = np.exp(z) / np.exp(z).sum()
    tilted = np.exp(z / 1.05) / np.exp(z / 1.05).sum()
    counts = np.rint(40_000 * tilted)
    assert log_e_value(counts, law, law) > 20
    assert log_e_value(np.rint(40_000 * law), law, law) < 0


def test_dependence_of_pairs_is_seen_and_a_wrong_marginal_is_not_dependence():
    rng = np.random.default_rng(3)
    skewed = np.histogram2d(*rng.choice(3, (2, 3000), p=[0.8, 0.15, 0.05]), bins=3)[0]
    assert log_e_independence(skewed) < 0
    first = rng.integers(0, 3, 600)
    assert log_e_independence(np.histogram2d(first, (first + (rng.random(600) < 0.5)) % 3, bins=3)[0]) > 50


def test_mean_e_value_of_independent_pairs_is_at_most_one():
    """Exact, over all tables of three pairs with marginals (0.7, 0.3) and (0.4, 0.6)."""
    law = np.outer([0.7, 0.3], [0.4, 0.6]).ravel()
    total = 0.0
    for cells in itertools.product(range(4), repeat=3):
        if sum(cells) <= 3:
            counts = np.array([*cells, 3 - sum(cells)])
            total += multinomial(3, law).pmf(counts) * np.exp(log_e_independence(counts.reshape(2, 2)))
    assert total <= 1 + 1e-9


def test_tests_are_reserved_before_they_are_started():
    reserved, budget = [], None

    def reserve(tests):
        assert budget.tests < tests, "no test has been started that was not reserved"
        reserved.append(tests)

    budget = ErrorBudget(1e-6, reserve=reserve)
    for _ in range(100):
        budget.next_threshold()
        assert budget.tests <= reserved[-1]
    assert len(reserved) < 10


def test_a_resumed_budget_goes_on_where_the_last_one_can_have_been():
    reserved = []
    first = ErrorBudget(1e-6, reserve=reserved.append)
    thresholds = [first.next_threshold() for _ in range(5)]
    resumed = ErrorBudget(1e-6, started=reserved[-1])
    thresholds += [resumed.next_threshold() for _ in range(2000)]
    assert thresholds == sorted(set(thresholds)), "every share is given once"
    assert np.exp(-np.array(thresholds)).sum() < 1e-6
    assert first.spent < resumed.spent < 1e-6
