"""What the definitions leave open, decided and held: ties, edges, infinities, rows with nothing, parameters that are no numbers."""

import jax.numpy as jnp
import numpy as np
import pytest

from samplerfuzz import samplers
from samplerfuzz.core.errors import ParameterError, UsageError
from samplerfuzz.samplers import State

INF, NAN = np.inf, np.nan
HALVES = [3 * np.log(2), 2 * np.log(2), np.log(2), np.log(2)]  # 1/2, 1/4, 1/8, 1/8


def kept(stage, row):
    return np.flatnonzero(np.asarray(stage(np.array(row, np.float32))[0]) > -INF).tolist()


@pytest.mark.parametrize(
    ("stage", "row", "expected"),
    [
        (samplers.top_k(2), [3, 1, 2, 2], [0, 2, 3]),  # ties of the k-th
        (samplers.top_k(3), [0, -INF, -INF, 1], [0, 3]),  # more than there are
        (samplers.top_k(2**40), [0, 1], [0, 1]),
        (samplers.top_k(-(2**40)), [0, 1], [0, 1]),
        (samplers.top_k(1), [-0.0, 0.0, -1], [0, 1]),  # both zeros are one
        (samplers.top_k(1), [-1e-45, -3e-45], [0]),  # subnormals are numbers
        (samplers.top_p(0.8), HALVES, [0, 1, 2, 3]),  # ties of the crossing token
        (samplers.top_p(0.7), HALVES, [0, 1]),
        (samplers.top_p(-1.0), [1, 1, 0], [0, 1]),
        (samplers.top_p(1e-45), [1, 2, 0], [1]),
        (samplers.top_p(2.0), [1, -200, 0], [0, 1, 2]),
        (samplers.top_p(np.nextafter(np.float32(1), np.float32(0))), [0, -200], [0]),
        (samplers.min_p(1.0), [1, 1, 0], [0, 1]),
        (samplers.min_p(-1.0), [1, -1000, -INF], [0, 1]),
        (samplers.min_p(1e-45), [1, -80, -INF], [0, 1]),
        (samplers.typical_p(0.0), HALVES, [1]),  # H = 1.75 ln 2: a quarter is nearest
        (samplers.typical_p(0.3), HALVES, [0, 1]),
        (samplers.typical_p(0.5), [1, 1, 1], [0, 1, 2]),  # every score ties
        (samplers.typical_p(0.5), [0, -1000], [0]),  # 0·ln 0 = 0
        (samplers.top_n_sigma(1.0), [5, 5, 5], [0, 1, 2]),  # σ = 0
        (samplers.top_n_sigma(INF), [5, 1, -INF], [0, 1]),
        (samplers.top_n_sigma(0.9), [1, -1, -INF, -INF], [0]),  # masked entries are no part of σ = 1
        (samplers.top_n_sigma(2.0), [1, -1, -INF], [0, 1]),  # ≥
        (samplers.top_n_sigma(1.0), [3e38, -3e38, 2e38], [0, 2]),  # neither range nor square overflows
        (samplers.xtc(0.2), HALVES, [1, 2, 3]),
        (samplers.xtc(0.1), HALVES, [2, 3]),  # ties of the least top choice
        (samplers.xtc(0.51), HALVES, [0, 1, 2, 3]),
        (samplers.xtc(0.0), HALVES, [2, 3]),
        (samplers.xtc(0.2, 0.5, coin=0.5), HALVES, [0, 1, 2, 3]),
        (samplers.xtc(0.2, 0.5, coin=0.49), HALVES, [1, 2, 3]),
        (samplers.xtc(0.2, 0.0), HALVES, [0, 1, 2, 3]),
        (samplers.greedy(), [-0.0, 0.0], [0]),
        (samplers.temperature(-0.0), [1, 2, 2], [1]),
    ],
)
def test_edges_and_ties(stage, row, expected):
    assert kept(stage, row) == expected


ONE_OF_EACH = [
    samplers.temperature(0.5), samplers.temperature(-2.0), samplers.temperature(INF), samplers.temperature(0.0), samplers.top_k(2), samplers.top_p(0.5), samplers.min_p(0.5),
    samplers.typical_p(0.5), samplers.top_n_sigma(1.0), samplers.xtc(0.1), samplers.greedy(), samplers.mirostat(1.0), samplers.mirostat(1.0, mirostat=1),
    samplers.adaptive_p(0.5),
]  # fmt: skip


@pytest.mark.parametrize("stage", ONE_OF_EACH, ids=repr)
def test_nothing_stays_nothing_and_poison_stays_in_its_row(stage):
    rows = np.array([[-INF, -INF, -INF], [1, NAN, 2], [1, 3, 2]], np.float32)
    out = np.asarray(stage(rows)[0])
    assert (out[0] == -INF).all()
    assert np.isnan(out[1]).all()
    np.testing.assert_array_equal(out[2], np.asarray(stage(rows[2])[0]))


@pytest.mark.parametrize("stage", ONE_OF_EACH, ids=repr)
def test_infinite_logits_make_no_nan(stage):
    out = np.asarray(stage(np.array([[1, INF, INF, -INF], [INF, INF, INF, INF]], np.float32))[0])
    assert not np.isnan(out).any()
    assert (out > -INF).any(-1).all()


@pytest.mark.parametrize(
    "make",
    [
        samplers.temperature,
        samplers.top_k,
        samplers.top_p,
        samplers.min_p,
        samplers.typical_p,
        samplers.top_n_sigma,
        samplers.xtc,
        samplers.mirostat,
        samplers.adaptive_p,
    ],
)
def test_a_parameter_that_is_no_number_poisons_its_row_only(make):
    out = np.asarray(make(np.array([NAN, 1.0], np.float32))(np.zeros((2, 3), np.float32))[0])
    assert np.isnan(out[0]).all()
    assert not np.isnan(out[1]).any()


@pytest.mark.parametrize("t", [1e-50, 1e-45, 1e-38, 1e-6, 0.5, 1.0, 3.0, 1e9, 1e38, 1e60, INF])
@pytest.mark.parametrize("sign", [1, -1])
def test_any_temperature_keeps_mask_order_and_finiteness(t, sign):
    row = np.array([-3e38, -1.0, -0.5, -INF, 2.0, 1e-40, 3e38], np.float32)
    out = np.asarray(samplers.temperature(sign * t)(row)[0])
    np.testing.assert_array_equal(out == -INF, row == -INF)
    assert np.isfinite(out[row > -INF]).all()
    order = np.argsort(sign * row[row > -INF])
    assert (np.diff(out[row > -INF][order]) >= 0).all()


def test_a_temperature_too_small_for_float32_still_has_a_sign():
    row = np.array([1.0, 2.0, 3.0], np.float32)
    assert np.asarray(samplers.temperature(-1e-300)(row)[0]).argmax() == 0
    assert np.asarray(samplers.temperature(1e-300)(row)[0]).argmax() == 2


@pytest.mark.parametrize(
    ("t", "row", "expected"), [(1e-39, [0, -1e-37], [0, -100]), (1e38, [3e38, -3e38], [0, -6]), (-2.5e38, [-3e38, 3e38], [0, -2.4])]
)
def test_temperatures_at_the_ends_of_float32_divide_rightly(t, row, expected):
    out = np.asarray(samplers.temperature(t)(np.array(row, np.float32))[0])
    np.testing.assert_allclose(out, expected, rtol=1e-5)


PENALISED = State(jnp.array([[0, 1, 1, 3], [2, -1, 7, 0]], jnp.int32), jnp.array([3, 3], jnp.int32))


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (samplers.repetition_penalty(2.0), [[2, -4, 1], [4, -2, 0.5]]),
        (samplers.presence_penalty(1.0, penalty_last_n=np.array([2, 0])), [[4, -3, 1], [4, -2, 1]]),
        (samplers.frequency_penalty(np.array([1.0, 0.5]), penalty_last_n=3), [[3, -4, 1], [4, -2, 0.5]]),
        (samplers.frequency_penalty(1.0, penalty_last_n=2**31 - 1), [[3, -4, 1], [4, -2, 0]]),
    ],
)
def test_penalties_see_their_window_and_no_padding(stage, expected):
    out = np.asarray(stage(np.array([[4, -2, 1], [4, -2, 1]], np.float32), PENALISED)[0])
    np.testing.assert_array_equal(out, np.array(expected, np.float32))


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (samplers.repetition_penalty(2.0, count_prompt=False), [[4, -4, 1], [4, -2, 0.5]]),
        (samplers.presence_penalty(1.0, count_prompt=np.array([0, 1])), [[4, -3, 1], [4, -2, 0]]),
        (samplers.frequency_penalty(1.0, penalty_last_n=np.array([2, 1]), count_prompt=False), [[4, -4, 1], [4, -2, 1]]),
    ],
)
def test_the_prompt_counts_or_not(stage, expected):
    state = State(PENALISED.history, PENALISED.lengths, jnp.array([1, 0], jnp.int32))
    out = np.asarray(stage(np.array([[4, -2, 1], [4, -2, 1]], np.float32), state)[0])
    np.testing.assert_array_equal(out, np.array(expected, np.float32))


def test_penalties_overflow_to_finite_and_lift_no_mask():
    rows = np.array([[1e35, -INF, 0], [INF, 3e38, -3e38]], np.float32)
    out = np.asarray(samplers.repetition_penalty(np.array([1e-6, 0.5]))(rows, PENALISED)[0])
    assert out[0, 0] == np.finfo(np.float32).max
    assert out[0, 1] == -INF
    assert out[1, 0] == INF
    assert np.isfinite(out[1, 1:]).all()


def test_a_full_history_forgets_its_oldest_token():
    state = State(jnp.array([[5, 6, 7], [5, 6, 0]], jnp.int32), jnp.array([3, 2], jnp.int32)).append(jnp.array([8, 8], jnp.int32))
    assert state.history.tolist() == [[6, 7, 8], [5, 6, 8]]
    assert state.lengths.tolist() == [3, 3]


A, B, C, D = range(4)


@pytest.mark.parametrize(
    ("history", "parameters", "lengths"),
    [
        ([A, B, C, A, B], {}, {C: 2}),
        ([A, B, C, A, B, D, A, B], {}, {C: 2, D: 2}),
        ([B, C, A, B, D, A, B], {}, {C: 1, D: 2}),  # the longest of a token, not the nearest
        ([A, B, A, C, B, A], {}, {C: 2, B: 1}),
        ([A, A, A, A], {}, {A: 3}),  # an earlier place may overlap the newest tokens
        ([A, B, C], {}, {}),
        ([], {}, {}),
        ([A], {}, {}),
        ([A, B, C, A, B], {"dry_penalty_last_n": 4}, {C: 1}),  # the window cuts the earlier place short
        ([A, B, C, A, B], {"dry_penalty_last_n": 3}, {}),
        ([A, B, C, A, B], {"dry_penalty_last_n": 0}, {}),
        ([A, B, C, A, B], {"breakers": [A]}, {C: 1}),
        ([A, B, C, A, B], {"breakers": [B]}, {}),
        ([A, B, C, A, B], {"breakers": [C]}, {}),  # what breaks is never lowered itself
        ([A, B, C, D, A, B, C], {"breakers": [B]}, {D: 1}),
        ([A, 9, B, A, 9], {}, {B: 2}),  # what is no token is compared like one
        ([A, 9, A], {}, {}),
    ],
)
def test_dry_measures_the_repetition_that_a_token_would_lengthen(history, parameters, lengths):
    given = {key: value for key, value in parameters.items() if key != "breakers"}
    if "breakers" in parameters:
        given["dry_sequence_breakers"] = samplers.dense_ids([parameters["breakers"]], 4)
    state = State(jnp.array([history + [B] * (12 - len(history))], jnp.int32), jnp.array([len(history)], jnp.int32))
    out, _, info = samplers.dry(1.0, 2.0, 1, **given)(np.zeros((1, 4), np.float32), state)
    expected = [-(2.0 ** (lengths[token] - 1)) if token in lengths else 0.0 for token in range(4)]
    np.testing.assert_allclose(np.asarray(out)[0], expected, rtol=1e-6)
    assert int(info["longest"][0]) == max(lengths.values(), default=0)


def test_dry_stays_finite_where_the_power_does_not():
    state = State(jnp.zeros((2, 400), jnp.int32), jnp.array([400, 3], jnp.int32))
    out = np.asarray(samplers.dry(1.0, np.array([4.0, 1e30]), 1)(np.zeros((2, 2), np.float32), state)[0])
    assert np.isfinite(out).all()
    assert (out[:, 0] < -1e29).all()
    assert (out[:, 1] == 0).all()


@pytest.mark.parametrize(
    "parameters", [{"dry_multiplier": 0.0}, {"dry_multiplier": 1.0, "dry_base": 0.5}, {"dry_multiplier": 1.0, "dry_base": -1.0}]
)
def test_dry_is_off(parameters):
    state = State(jnp.zeros((1, 8), jnp.int32), jnp.array([8], jnp.int32))
    assert np.asarray(samplers.dry(**parameters)(np.ones((1, 2), np.float32), state)[0]).tolist() == [[1, 1]]


def test_mirostat_one_keeps_a_flat_row_whole_and_a_single_token():
    out = np.asarray(samplers.mirostat(100.0, mirostat=1)(np.zeros((1, 300), np.float32))[0])
    assert (out == 0).all()
    assert kept(samplers.mirostat(3.0, mirostat=1), [5, -INF, -INF]) == [0]


def test_bias_adds_bans_forces_and_lifts_no_mask():
    out = samplers.logit_bias(np.array([1.0, -INF, INF, INF], np.float32))(np.array([1.0, 1.0, 1.0, -INF], np.float32))[0]
    assert np.asarray(out).tolist() == [2.0, -INF, INF, -INF]


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: samplers.temperature("warm"),
        lambda: samplers.top_p(np.zeros((2, 2))),
        lambda: samplers.top_p(np.zeros(3))(np.zeros((2, 4), np.float32)),
        lambda: samplers.top_k(1)(np.zeros((2, 4), np.int32)),
        lambda: samplers.top_k(1)(np.zeros((2, 0), np.float32)),
        lambda: samplers.presence_penalty(1.0)(np.zeros((2, 4), np.float32)),
        lambda: samplers.presence_penalty(1.0)(np.zeros((3, 4), np.float32), PENALISED),
        lambda: samplers.logit_bias(np.zeros(3))(np.zeros((2, 4), np.float32)),
        lambda: samplers.dry(1.0)(np.zeros((2, 4), np.float32)),
        lambda: samplers.dry(1.0, dry_sequence_breakers=np.zeros(3, bool))(np.zeros((2, 4), np.float32), PENALISED),
        lambda: samplers.dry(1.0, dry_sequence_breakers=np.zeros((1, 1, 3), bool)),
        lambda: samplers.dense_ids([[4]], 4),
        lambda: samplers.dense_bias([{4: 1.0}], 4),
        lambda: samplers.apply(("top_k",), {}, np.zeros((2, 4), np.float32)),
        lambda: samplers.apply(("top_k",), {"top_k": 1, "top_q": 1}, np.zeros((2, 4), np.float32)),
    ],
)
def test_misuse_is_refused_in_words(misuse):
    with pytest.raises(ParameterError, match=r"expected|needs|reads"):
        misuse()


def test_an_unknown_stage_is_refused():
    with pytest.raises(UsageError, match="top_k"):
        samplers.apply(("topk",), {}, np.zeros((2, 4), np.float32))
