"""The oracle's three sets on tables small enough to check by hand."""

import numpy as np
import pytest

from samplerfuzz.oracle import History, Reading, believe, judge_distributions, judge_tokens, precision, readings

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
        # m + ln a lies 1.6e-5 above the second token, a quarter of a step of float32 at 998
        ([-996.411, -997.8398, -997.84], ["min_p"], {"min_p": 0.23960690541046492}, {0}, {1}),
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
        (logs(0.5, 0.25, 0.15, 0.1), ["epsilon_cutoff"], {"epsilon_cutoff": 0.12}, {0, 1, 2}, set()),
        (logs(0.5, 0.25, 0.25), ["epsilon_cutoff"], {"epsilon_cutoff": 0.25}, {0}, {1, 2}),
        (logs(0.4, 0.4, 0.2), ["epsilon_cutoff"], {"epsilon_cutoff": 0.5}, set(), {0, 1}),
        (logs(0.5, 0.25, 0.15, 0.1), ["eta_cutoff"], {"eta_cutoff": 0.2}, {0, 1, 2}, set()),
        (logs(0.5, 0.3, 0.2), ["top_a"], {"top_a": 1.0}, {0, 1}, set()),
        (logs(0.5, 0.25, 0.25), ["top_a"], {"top_a": 1.0}, {0}, {1, 2}),
        (logs(0.5, 0.35, 0.1, 0.05), ["p_less"], {"p_less": 1.0}, {0}, set()),
        (logs(0.5, 0.35, 0.1, 0.05), ["p_less"], {"p_less": 0.0}, {0, 1, 2, 3}, set()),
        ([1, 1, 1], ["p_less"], {"p_less": 1.0}, set(), {0, 1, 2}),
        (logs(0.5, 0.35, 0.1, 0.05), ["p_less_norm"], {"p_less_norm": 1.0}, {0, 1}, set()),
        (logs(0.5, 0.25, 0.15, 0.1), ["top_h"], {"top_h": 0.6}, {0, 1}, set()),
        (logs(0.4, 0.3, 0.3), ["top_h"], {"top_h": 0.7}, {0}, {1, 2}),
        (logs(0.4, 0.35, 0.2, 0.03, 0.02), ["tfs_z"], {"tfs_z": 0.9}, {0, 1}, set()),
        ([2, 2, 2, 2], ["tfs_z"], {"tfs_z": 0.5}, set(), {0, 1, 2, 3}),
        ([2, 1], ["tfs_z"], {"tfs_z": 0.5}, {0}, {1}),
        (logs(0.5, 0.3, 0.2), ["top_p"], {"top_p": 0.4, "min_tokens_to_keep": 2}, {0, 1}, set()),
        (logs(0.5, 0.25, 0.25), ["top_p"], {"top_p": 0.4, "min_tokens_to_keep": 2}, {0}, {1, 2}),
        (logs(0.4, 0.2, 0.2, 0.2), ["typical_p"], {"typical_p": 0.1, "min_tokens_to_keep": 3}, {1, 2, 3}, set()),
        (logs(0.5, 0.3, 0.2), ["xtc"], {"xtc_threshold": 0.25, "min_tokens_to_keep": 3}, {0, 1, 2}, set()),
        (logs(0.5, 0.3, 0.2), ["xtc"], {"xtc_threshold": 0.25, "min_tokens_to_keep": 2}, {1, 2}, set()),
        # llama.cpp counts a masked token among those that would be left
        (logs(0.5, 0.5 - 1e-3, 0), ["xtc"], {"xtc_threshold": 0.25, "min_tokens_to_keep": 2}, {1}, {0}),
        (logs(0.5, 0.5 - 1e-3, 0), ["xtc"], {"xtc_threshold": 0.25, "min_tokens_to_keep": 3}, {0, 1}, set()),
        # float32 rounds the threshold to 0.5, and the probability of the first token as well
        ([1, 1.0000001], ["xtc"], {"xtc_threshold": 0.5000000298023224}, set(), {0, 1}),
        ([1, 1.0000001], ["xtc"], {"xtc_threshold": 0.50001}, {0, 1}, set()),
    ],
)
def test_must_and_may(logits, order, parameters, must, may):
    got_must, got_may, _ = sets(logits, order, **parameters)
    assert (got_must, got_may) == (must, may)


def test_of_equal_denormals_one_may_be_flushed():
    """Multiplying the seen one by a repetition penalty of 1 makes it zero; then 0.96 is reached before the other."""
    row = [0.0] * 13 + [1.0] * 4 + [-1e-40, -1e-40]
    _, may, _ = sets(row, ["top_p"], Reading(settled={("top_p", "ties"): "all"}), top_p=0.96)
    assert {17, 18} <= may


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


@pytest.mark.parametrize(("before", "kept"), [("first", {0, 1}), ("middle", {0, 1, 2}), ("last", {0, 1, 2, 3})])
def test_tail_free_ports_cut_before_one_of_three_tokens(before, kept):
    reading = Reading(settled={("tfs_z", "before"): before})
    assert sets(logs(0.4, 0.35, 0.2, 0.03, 0.02), ["tfs_z"], reading=reading, tfs_z=0.9)[0] == kept


@pytest.mark.parametrize(("entropy", "kept"), [("renormalised", {0, 1}), ("partial", {0}), ("partial of 100", {0})])
def test_top_h_bounds_the_entropy_of_the_paper_or_of_the_code(entropy, kept):
    """H = 1.208; of the first two 0.637 when renormalised and 0.693 when not: a bound of 0.664 lies between."""
    reading = Reading(settled={("top_h", "entropy"): entropy})
    assert sets(logs(0.5, 0.25, 0.15, 0.1), ["top_h"], reading=reading, top_h=0.55)[:2] == (kept, set())


def test_a_chosen_temperature_follows_the_entropy():
    *_, belief = sets(logs(0.5, 0.25, 0.25), ["dynatemp"], dynatemp_range=0.5, temperature=1.0, dynatemp_exponent=2.0)
    chosen = 0.5 + (1.5 / np.log2(3)) ** 2
    np.testing.assert_allclose(belief.z[0], [0, -np.log(2) / chosen, -np.log(2) / chosen], rtol=1e-6)
    assert (belief.error < 1e-4).all()


@pytest.mark.parametrize(("count", "fewest", "most"), [("allowed", 2, 2), ("vocabulary", 4, 4), ("candidates", 2, 4)])
def test_the_entropy_is_measured_by_the_tokens_that_are_allowed_or_on_the_list(count, fewest, most):
    """T' = 0.5 + H / ln N, of two tokens that are left and two that are not."""
    reading = Reading(settled={("dynatemp", "count"): count})
    *_, belief = sets([1, 0, -9, -9], ["top_k", "dynatemp"], reading=reading, top_k=2, dynatemp_range=0.5, temperature=1.0)
    p = 1 / (1 + np.exp(-1))
    entropy = -p * np.log(p) - (1 - p) * np.log(1 - p)
    low, high = belief.z[0, 1] - belief.error[0, 1], belief.z[0, 1] + belief.error[0, 1]
    for size in (2, 3, 4):
        inside = low <= -1 / (0.5 + entropy / np.log(size)) <= high
        assert inside == (fewest <= size <= most)


def test_smoothing_bends_by_the_square_and_the_cube():
    *_, belief = sets([3, 2, 1, -INF], ["smoothing"], smoothing_factor=0.5, smoothing_curve=2.0)
    assert belief.z[0].tolist() == [0, -0.5, -3.0, -INF]


def test_lists_of_ids_are_masks():
    allowed, forbidden = np.array([[1.0, 1.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])
    for order, given, left in (
        (["allowed_tokens"], {"allowed_tokens": allowed}, [True, True, False]),
        (["forbidden_tokens"], {"forbidden_tokens": forbidden}, [True, False, True]),
    ):
        belief = believe(np.array([[1.0, 2.0, 3.0]]), order, given, arithmetic=FLOAT32)
        assert belief.must[0].tolist() == belief.possible[0].tolist() == left
        assert belief.least[0] == 2


def test_huge_equal_logits_tie():
    assert sets([1e30, 1e30, 0], ["top_k"], top_k=1)[:2] == (set(), {0, 1})


@pytest.mark.parametrize(
    ("dtype", "logits", "may"), [("float32", [0, -150, -151], {1, 2}), ("float16", [24, 1, 0], {1, 2}), ("float32", [24, 1, 0], set())]
)
def test_probabilities_that_the_dtype_takes_for_zero_tie(dtype, logits, may):
    # transformers' MinPLogitsWarper keeps the first two by probability, and 1 and 0 have none in half precision beside 24
    given = {"min_p": np.array([1.0]), "min_tokens_to_keep": np.array([2.0])}
    belief = believe(np.array([logits], np.float32), ["min_p"], given, arithmetic=precision(dtype))
    assert set(np.flatnonzero(belief.may[0])) == may


@pytest.mark.parametrize(
    ("dtype", "logits", "may"),
    [
        # 0.47 and 0.31 beside: 5.5e-8 and 7.5e-8 are the same number in half precision
        ("float16", [-7.594716, -8.008575, -23.246172, -23.550423], {2, 3}),
        ("float32", [-7.594716, -8.008575, -23.246172, -23.550423], set()),
        # of 64 that are alike each has a 64th, and the step is as much wider beside it
        ("float16", [0.0] * 62 + [-12.2, -12.8], {62, 63}),
        ("float16", [0.0] * 62 + [-2.2, -2.8], set()),
    ],
)
def test_probabilities_that_the_dtype_takes_for_one_number_tie(dtype, logits, may):
    # transformers' MinPLogitsWarper keeps the first by probability
    given = {"min_p": np.array([1.0]), "min_tokens_to_keep": np.array([len(logits) - 1.0])}
    belief = believe(np.array([logits], np.float32), ["min_p"], given, arithmetic=precision(dtype))
    assert set(np.flatnonzero(belief.may[0])) == may


def test_more_tokens_than_a_cut_leaves_are_too_many():
    reading = Reading(settled={("top_k", "ties"): "cut"})
    *_, belief = sets([1, 1, 1, 0], ["top_k"], reading=reading, top_k=2)
    assert judge_distributions(belief, np.array([[1, 1, 1, 0]]) / 3, values="probs").too_many.tolist() == [True]
    assert not judge_distributions(belief, np.array([[1, 0, 1, 0]]) / 2, values="probs").wrong.any()


def test_greedy_looks_at_everything_or_at_what_is_left():
    asked = {"xtc_threshold": 0.25, "temperature": 0.0}
    assert sets(logs(0.5, 0.3, 0.2), ["xtc", "temperature"], **asked)[0] == {1}
    first = Reading(settled={("temperature", "greedy"): "first"})
    assert sets(logs(0.5, 0.3, 0.2), ["xtc", "temperature"], reading=first, **asked)[0] == {0}


@pytest.mark.parametrize("answer", [(0.5, 0.5), (0.0, 1.0), (0.2, 0.8)])
def test_what_hardware_that_flushes_subnormals_answers_is_fair(answer):
    _, _, belief = sets([-1e-40, 0.0], ["temperature"], temperature=1e-45)
    assert not judge_distributions(belief, np.array([answer]), values="logits").wrong.any()
    _, _, belief = sets([-1e-30, 0.0], ["temperature"], temperature=1e-32)
    assert judge_distributions(belief, np.array([(0.5, 0.5)]), values="logits").wrong.any()


@pytest.mark.parametrize(
    ("order", "parameters"),
    [
        (["temperature"], {"temperature": 1e-99}),
        (["dynatemp"], {"temperature": -1e-99, "dynatemp_range": 0.0}),
        (["top_n_sigma"], {"top_n_sigma": 1e-99}),
        (["adaptive_p"], {"adaptive_target": -1e-99}),
    ],
)
def test_a_parameter_below_all_numbers_of_float32_may_be_zero(order, parameters):
    zero = {name: value if abs(value) > 1e-9 else 0.0 for name, value in parameters.items()}
    for subnormal, expected in (("kept", parameters), ("rounded", zero), ("zero", zero)):
        *_, belief = sets([1, 1, 0.5], order, reading=Reading(subnormal=subnormal), **parameters)
        *_, alike = sets([1, 1, 0.5], order, **expected)
        assert all(np.array_equal(getattr(belief, part), getattr(alike, part)) for part in ("must", "may", "z", "error"))


def test_the_readings_of_a_tiny_parameter():
    def of(value):
        parameters = {"top_n_sigma": np.array([value])}
        return [reading.subnormal for reading in readings(["top_n_sigma"], parameters, declared={"top_n_sigma.sigma": "bessel"})]

    assert of(1e-30) == ["kept"]
    # zero is off, or the maximum only
    assert of(1e-40) == ["kept", "rounded", "zero", "zero"]


def test_float32_divides_by_a_temperature_below_its_normal_numbers():
    assert sets([1, 1], ["temperature"], reading=Reading(subnormal="rounded"), temperature=-1e-44)[:2] == ({0, 1}, set())


@pytest.mark.parametrize(("share", "may"), [(1 + 1e-9, {0, 1}), (1.001, set())])
def test_a_min_p_that_rounds_to_one_may_be_one(share, may):
    reading = Reading(settled={("min_p", "above_one"): "off"})
    assert sets(logs(0.6, 0.4), ["min_p"], reading=reading, min_p=share)[1] == may


@pytest.mark.filterwarnings("error")
def test_the_weights_of_a_whole_vocabulary_have_a_sum():
    z = np.where(np.arange(49152) % 2, np.float32(1e30), np.float32(-1e30))[None]
    low, high = believe(z, ["temperature"], {"temperature": np.ones(1)}, arithmetic=FLOAT32).probabilities()
    assert (low <= high).all()


def test_where_the_stages_leave_nothing_no_answer_is_wrong():
    forbidden = {"temperature": [0.0], "forbidden_tokens": [[0.0, 0.0, 1.0]]}
    belief = believe(
        np.array([[1, 2, 3]], np.float32),
        ["temperature", "forbidden_tokens"],
        {name: np.array(value) for name, value in forbidden.items()},
        arithmetic=FLOAT32,
    )
    assert not belief.possible.any()
    assert not judge_tokens(belief, np.array([1])).any()
    verdict = judge_distributions(belief, np.array([[0.0, 1.0, 0.0]]), values="probs")
    assert not verdict.wrong.any()
    assert verdict.vacuous.all()
