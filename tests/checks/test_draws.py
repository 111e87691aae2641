"""What the checks of draws ask for, on samplers small enough to know the answer."""

import ml_dtypes
import numpy as np
import pytest

import samplerfuzz as sf
from samplerfuzz.cases import Case
from samplerfuzz.checks.frequencies import is_telling
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


def drawn_from_bfloat16(noise, **declared):
    """Return a draw from bfloat16 logits by an arg-max with Gumbel noise of one dtype."""

    @sf.target(order=[], returns="tokens", dtype="bfloat16", **declared)
    def draw(logits, seed):
        uniform = np.random.default_rng(seed).random(logits.shape)
        if noise == ml_dtypes.bfloat16:
            uniform = np.maximum(np.floor(uniform * 128), 1 / 2) / 128
        gumbel = -np.log(-np.log(uniform.astype(noise).astype(np.float32)))
        return (logits.astype(ml_dtypes.bfloat16).astype(noise) + gumbel.astype(noise)).argmax(-1)

    return PlainTarget(draw, locator="draw")


@pytest.mark.parametrize(
    ("noise", "declared", "is_accused"),
    [
        (ml_dtypes.bfloat16, {"draws_in": "float32"}, True),
        (ml_dtypes.bfloat16, {}, False),
        (np.float32, {"draws_in": "float32"}, False),
    ],
)
def test_noise_of_few_bits_is_fair_where_the_draw_declares_it(noise, declared, is_accused):
    target = drawn_from_bfloat16(noise, **declared)
    case = Case(logits=np.zeros((1, 1000), np.float32), seeds=np.array([1]))
    assert bool(load_all()["draw_frequencies_match"].within(ErrorBudget()).examine(target, case)) is is_accused
    assert is_telling(target.spec, case) is bool(declared)
