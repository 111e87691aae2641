"""What the checks of draws ask for, on samplers small enough to know the answer."""

import numpy as np

import samplerfuzz as sf
from samplerfuzz.cases import Case
from samplerfuzz.checks.registry import load_all
from samplerfuzz.stats.budget import ErrorBudget
from samplerfuzz.targets.plain import PlainTarget


def coin_of(random, share):
    """Return XTC on two equal tokens, where one coin is thrown for all rows of a call."""

    @sf.target(order=["xtc"], returns="tokens")
    def one_coin_a_call(logits, xtc_threshold, xtc_probability, seed):
        generator = random(seed)
        if generator.random() < share * xtc_probability:
            return np.ones(len(logits), np.int64)
        return generator.choice(2, len(logits), p=[2 / 3, 1 / 3])

    return PlainTarget(one_coin_a_call, locator="one_coin_a_call")


def examined(target):
    case = Case(
        logits=np.log(np.array([[2.0, 1.0]], np.float32)),
        parameters={"xtc_threshold": np.array([0.25]), "xtc_probability": np.array([0.5])},
        seeds=np.array([1]),
    )
    return load_all()["draw_frequencies_match"].within(ErrorBudget()).examine(target, case)


def test_rows_of_one_call_may_share_the_coin_of_the_call():
    assert not examined(coin_of(np.random.default_rng, share=1.0))


def test_a_coin_of_another_probability_is_seen_through_calls_of_one_row():
    assert examined(coin_of(np.random.default_rng, share=0.0))
