"""The oracle's three sets on tables small enough to check by hand."""

import numpy as np
import pytest

from samplerfuzz.oracle import History, believe, judge_distributions, precision

INF = np.inf
FLOAT32 = precision("float32")


def sets(logits, order, reading=None, history=None, **parameters):
    belief = believe(
        np.array([logits], np.float32),
        order,
        {name: np.array([value], float) for name, value in parameters.items()},
        arithmetic=FLOAT32,
        history=None if history is None else History.of([history]),
        reading=reading,
    )
    return set(np.flatnonzero(belief.must[0])), set(np.flatnonzero(belief.may[0])), belief


def logs(*p):
    return [np.log(x) if x else -INF for x in p]


@pytest.mark.parametrize(
    ("logits", "order", "parameters", "must", "may"),
    [
        (logs(0.6, 0.4), ["top_p"], {"top_p": 0.7}, {0, 1}, set()),
        (logs(0.5, 0.3, 0.2), ["top_p"], {"top_p": 0.4}, {0}, set()),
        (logs(0.5, 0.25, 0.25), ["top_p"], {"top_p": 0.5}, {0}, {1, 2}),
        (logs(0.25, 0.25, 0.25, 0.25), ["top_p"], {"top_p": 0.4}, set(), {0, 1, 2, 3}),
        (logs(0.5, 0.3, 0.2), ["top_p"], {"top_p": 1.0}, {0, 1, 2}, set()),
        (logs(0.5, 0.3, 0.2), ["min_p"], {"min_p": 0.5}, {0, 1}, set()),
        (logs(0.5, 0.3, 0.2), ["min_p"], {"min_p": 0.0}, {0, 1, 2}, set()),
        ([1, 2, 2, 2, 3], ["top_k"], {"top_k": 3}, {4}, {1, 2, 3}),
        ([1, 2, 3], ["top_k"], {"top_k": 0}, {0, 1, 2}, set()),
        ([1, 2, 3], ["top_k"], {"top_k": 7}, {0, 1, 2}, set()),
        ([1, 2, -INF], ["top_k"], {"top_k": 3}, {0, 1}, set()),
        ([1, 2, 3], ["temperature"], {"temperature": 0.0}, {2}, set()),
        ([1, 3, 3], ["temperature"], {"temperature": 0.0}, set(), {1, 2}),
        ([0, 0, 0, 4], ["top_n_sigma"], {"top_n_sigma": 1.0}, {3}, set()),
        (logs(0.5, 0.3, 0.2), ["typical_p"], {"typical_p": 0.2}, {1}, set()),
        (logs(0.5, 0.3, 0.2), ["xtc"], {"xtc_threshold": 0.25}, {1, 2}, set()),
        (logs(0.5, 0.3, 0.2), ["xtc"], {"xtc_threshold": 0.6}, {0, 1, 2}, set()),
    ],
)
def test_must_and_may(logits, order, parameters, must, may):
    got_must, got_may, _ = sets(logits, order, **parameters)
    assert (got_must, got_may) == (must, may)


def test_a_tie_at_the_cut_still_fixes_how_many_stay():
    *_, belief = sets([1, 2, 2, 2, 3], ["top_k"], top_k=3)
    assert belief.least[0] == 3


def test_negative_temperature_turns_the_order_round_and_keeps_the_mask():
    *_, belief = sets([1, 2, -INF], ["temperature"], temperature=-1.0)
    assert belief.z[0].tolist() == [0.0, -1.0, -INF]
    assert belief.must[0].tolist() == [True, True, False]


def test_uncertainty_travels_down_the_chain():
    """Which of two tied tokens survives top-k is open, so what top-p then keeps is open as well."""
    must, may, _ = sets(logs(0.4, 0.3, 0.3), ["top_k", "top_p"], top_k=2, top_p=0.5)
    assert must == {0}
    assert may == {1, 2}


def test_penalty_divides_positive_and_multiplies_negative_logits():
    *_, belief = sets([2, -2, 1], ["repetition_penalty"], repetition_penalty=2.0, history=[0, 1, 1, 1])
    assert belief.z[0].tolist() == [1.0, -4.0, 1.0]


def test_wrong_probability_is_out_of_band_and_the_right_one_is_not():
    *_, belief = sets(logs(0.5, 0.3, 0.2), ["temperature"], temperature=1.0)
    right, wrong = np.array([[0.5, 0.3, 0.2]]), np.array([[0.5, 0.31, 0.19]])
    assert not judge_distributions(belief, right, values="probs").wrong.any()
    assert judge_distributions(belief, wrong, values="probs").out_of_band[0].tolist() == [False, True, True]


def test_huge_equal_logits_tie():
    assert sets([1e30, 1e30, 0], ["top_k"], top_k=1)[:2] == (set(), {0, 1})
