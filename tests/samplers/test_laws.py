"""The laws of sampling, as properties. Logits are multiples of 1/8, so that shifts and powers of two are exact and the laws hold to the bit."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from samplerfuzz import samplers

ROWS, SIZE = 6, 12
FILTERS = ("top_k", "top_p", "min_p", "typical_p", "top_n_sigma", "xtc")
LARGER_KEEPS_MORE = {"top_k": True, "top_p": True, "typical_p": True, "top_n_sigma": True, "min_p": False}
NEUTRAL = {"top_k": 0.0, "top_p": 1.0, "typical_p": 1.0, "top_n_sigma": 0.0, "min_p": 0.0, "xtc": 1.0, "temperature": 1.0}
laws = settings(max_examples=15, derandomize=True)


@st.composite
def batches(draw, masked=True):
    raw = np.frombuffer(draw(st.binary(min_size=ROWS * SIZE, max_size=ROWS * SIZE)), np.int8).reshape(ROWS, SIZE)
    rows = (raw / np.float32(8)).astype(np.float32)
    if masked:
        keep = draw(st.lists(st.integers(1, 2**SIZE - 1), min_size=ROWS, max_size=ROWS))
        rows[(np.array(keep)[:, None] >> np.arange(SIZE)) & 1 == 0] = -np.inf
    return rows


def values(name):
    one = (
        st.integers(1, SIZE).map(float)
        if name == "top_k"
        else st.floats(1 / 64, 3.0 if name in ("top_n_sigma", "temperature") else 63 / 64, width=32)
    )
    return st.lists(one, min_size=ROWS, max_size=ROWS).map(lambda v: np.array(v, np.float32))


def run(name, value, logits):
    parameter = "xtc_threshold" if name == "xtc" else name
    return np.asarray(samplers.apply((name,), {parameter: np.broadcast_to(np.float32(value), (len(logits),))}, logits))


def kept(*call):
    return run(*call) > -np.inf


def softmax(z):
    p = np.exp(np.float64(z) - np.max(z, -1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


@pytest.mark.parametrize("name", FILTERS)
@laws
@given(data=st.data())
def test_a_shift_changes_no_set(name, data):
    z, v = data.draw(batches()), data.draw(values(name))
    np.testing.assert_array_equal(kept(name, v, z), kept(name, v, z + np.float32(data.draw(st.integers(-64, 64)))))


@pytest.mark.parametrize("name", [*FILTERS, "temperature"])
@laws
@given(data=st.data())
def test_renaming_tokens_renames_the_result(name, data):
    z, v = data.draw(batches()), data.draw(values(name))
    order = data.draw(st.permutations(range(SIZE)))
    np.testing.assert_array_equal(run(name, v, z)[:, order], run(name, v, z[:, order]))


@laws
@given(z=batches(), t=values("temperature"), power=st.integers(-3, 3))
def test_temperature_and_logits_scale_together(z, t, power):
    a = np.float32(2.0**power)
    t = np.where((t == 1) | (a * t == 1), np.float32(1.5), t)
    np.testing.assert_array_equal(run("temperature", a * t, a * z), run("temperature", t, z))


@laws
@given(z=batches(), t=values("temperature"))
def test_a_negative_temperature_mirrors(z, t):
    t = np.where(t == 1, np.float32(1.5), t)
    mirrored = np.where(z == -np.inf, z, -z)
    np.testing.assert_array_equal(run("temperature", -t, z), run("temperature", t, mirrored))


@pytest.mark.parametrize("name", LARGER_KEEPS_MORE)
@laws
@given(data=st.data())
def test_sets_are_nested_in_their_parameter(name, data):
    z, a, b = data.draw(batches()), data.draw(values(name)), data.draw(values(name))
    small, large = kept(name, np.minimum(a, b), z), kept(name, np.maximum(a, b), z)
    assert not (small & ~large if LARGER_KEEPS_MORE[name] else large & ~small).any()


@pytest.mark.parametrize("name", ["top_k", "min_p"])
@laws
@given(data=st.data())
def test_a_second_pass_removes_nothing(name, data):
    z, v = data.draw(batches()), data.draw(values(name))
    once = run(name, v, z)
    np.testing.assert_array_equal(run(name, v, once), once)


@pytest.mark.parametrize("name", NEUTRAL)
@laws
@given(z=batches(), others=st.data())
def test_neutral_changes_no_bit_whatever_the_neighbours(name, z, others):
    v = others.draw(values(name))
    v[::2] = NEUTRAL[name]
    np.testing.assert_array_equal(run(name, v, z)[::2], z[::2])


@pytest.mark.parametrize("name", FILTERS)
@laws
@given(data=st.data())
def test_something_stays_and_nothing_masked_returns(name, data):
    z, v = data.draw(batches()), data.draw(values(name))
    out = run(name, v, z)
    assert (out > -np.inf).any(-1).all()
    assert (out[z == -np.inf] == -np.inf).all()
    if name not in ("typical_p", "xtc"):
        assert (out > -np.inf)[z == z.max(-1, keepdims=True)].all()


@pytest.mark.parametrize("name", FILTERS)
@laws
@given(data=st.data())
def test_masking_a_token_is_deleting_it(name, data):
    z, v = data.draw(batches(masked=False)), data.draw(values(name))
    v = np.minimum(v, SIZE - 2) if name == "top_k" else v
    masked = z.copy()
    masked[:, -1] = -np.inf
    np.testing.assert_array_equal(run(name, v, masked)[:, :-1], run(name, v, z[:, :-1]))


@pytest.mark.parametrize("name", [*FILTERS, "temperature"])
@laws
@given(data=st.data())
def test_a_row_does_not_see_the_others(name, data):
    z, v, other, w = data.draw(batches()), data.draw(values(name)), data.draw(batches()), data.draw(values(name))
    other[0], w[0] = z[0], v[0]
    np.testing.assert_array_equal(run(name, v, z)[0], run(name, w, other)[0])


@laws
@given(row=batches(masked=False))
def test_the_mean_logit_rises_with_beta_and_entropy_peaks_at_zero(row):
    betas = np.array([-4.0, -1.0, -0.25, 0.0, 0.25, 4.0], np.float32)
    with np.errstate(divide="ignore"):
        p = softmax(run("temperature", 1 / betas, np.tile(row[:1], (len(betas), 1))))
    mean = (p * row[0].astype(np.float64)).sum(-1)
    entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(-1)
    assert (np.diff(mean) >= -1e-5).all()
    np.testing.assert_allclose(entropy.max(), entropy[3], atol=1e-6)
    np.testing.assert_allclose(entropy[3], np.log(SIZE), rtol=1e-6)


@laws
@given(z=batches(masked=False), t=values("temperature"))
def test_what_is_not_the_arg_min_obeys_the_gap_bound(z, t):
    z += np.arange(SIZE, dtype=np.float32) / 256  # no ties
    two = np.sort(z, -1)[:, :2].astype(np.float64)
    p = softmax(run("temperature", -t / 4, z))
    rest = 1 - p[np.arange(ROWS), z.argmin(-1)]
    assert (rest <= (SIZE - 1) * np.exp(-(two[:, 1] - two[:, 0]) * 4 / t.astype(np.float64)) * (1 + 1e-4) + 1e-12).all()
