"""The numbers of a step: the float64 definitions against arithmetic in fifty digits, the device against the definitions."""

from decimal import Decimal, getcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from samplerfuzz import samplers
from samplerfuzz.cases.logits import REGIMES, rows_of
from samplerfuzz.core.errors import ParameterError
from samplerfuzz.core.seeding import stream
from samplerfuzz.safety.statistics import chain_statistics, step_statistics
from samplerfuzz.safety.step import FACTORS, FIELDS, NUMBERS, TILTS, index, statistics_of, told

getcontext().prec = 50
TEMPERATURES = (1.0, 0.7, 1.7, 0.001, -0.001, -0.5, 0.0, np.inf, -np.inf, 1e-40, -1e-40, 1e30)
LARGEST = float(np.finfo(np.float32).max)


def by_hand(row, kept, token, temperature):
    """Return the numbers of one row from their definitions, in decimals of fifty digits."""
    inside = [i for i, z in enumerate(row) if kept[i] and z > -np.inf]
    z = {i: Decimal(float(row[i])) for i in inside}
    weight = {i: (z[i] / Decimal(temperature)).exp() for i in inside}
    p = {i: w / sum(weight.values()) for i, w in weight.items()}
    surprisal = {i: -p[i].ln() for i in inside}
    entropy = sum(p[i] * surprisal[i] for i in inside)
    n = Decimal(len(inside))
    mean = sum(z.values()) / n
    m2, m3, m4 = (sum((x - mean) ** k for x in z.values()) / n for k in (2, 3, 4))
    allowed = [i for i, x in enumerate(row) if x > -np.inf]
    before = {i: (Decimal(float(row[i])) / Decimal(temperature)).exp() for i in allowed}
    found = {
        "entropy": entropy,
        "relative_entropy": entropy / n.ln(),
        "varentropy": sum(p[i] * (surprisal[i] - entropy) ** 2 for i in inside),
        "log_max_min_ratio": max(surprisal.values()) - min(surprisal.values()),
        "skewness": m3 / (m2 * m2.sqrt()),
        "excess_kurtosis": m4 / m2**2 - 3,
        "kept": n,
        "mass_removed": sum(w for i, w in before.items() if i not in z) / sum(before.values()),
        "rank": sum(before[i] > before[token] for i in allowed),
        "surprisal": surprisal[token],
        "excess": surprisal[token] - entropy,
    }
    for factor, tilt in zip(FACTORS, TILTS, strict=True):
        tilt = Decimal(tilt)
        grown = {i: p[i] * (tilt * (surprisal[i] - entropy)).exp() for i in inside}
        found[f"psi[{factor:.3g}]"] = sum(grown.values()).ln()
        found[f"slope[{factor:.3g}]"] = sum(grown[i] * (surprisal[i] - entropy) for i in inside) / sum(grown.values())
    return {name: float(value) for name, value in found.items()}


@pytest.mark.parametrize("temperature", [1.0, 0.6, 2.5, -0.8])
def test_the_definitions_hold_in_fifty_digits(temperature):
    rng = stream(3, "by hand", temperature)
    for regime in ("normal", "peaked", "masked", "two-humped"):
        row = rows_of(regime, rng, 1, 12)[0].astype(np.float64)
        kept = rng.random(12) < 0.8
        order = np.argsort(-row)
        kept[order[:2]] = True
        vector = statistics_of(row[None], kept[None], [int(order[1])], temperature)[0]
        for name, value in by_hand(row, kept, int(order[1]), temperature).items():
            assert vector[index(name)] == pytest.approx(value, rel=1e-9, abs=1e-12), name


def adversarial(regime, size, temperature):
    """Return rows of a regime, sets that hold the largest token, and tokens: most inside, one outside or none."""
    rng = stream(5, regime, size, temperature)
    z = rows_of(regime, rng, 4, size)
    kept = rng.random(z.shape) < np.array([[1.0], [0.5], [0.02], [0.0]])
    kept[np.arange(4), z.argmax(-1)] = True
    kept &= z > -np.inf
    token = np.array([rng.choice(np.flatnonzero(row)) for row in kept], np.int32)
    token[1], token[2] = rng.integers(-1, size), -1
    return z, kept, token


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("size", [1, 2, 5, 1000, 6000])
def test_the_device_agrees_with_float64_on_adversarial_rows(regime, size):
    for temperature in np.asarray(TEMPERATURES, np.float32):
        z, kept, token = adversarial(regime, size, float(temperature))
        expected = statistics_of(z, kept, token, float(temperature))
        found = np.asarray(step_statistics(z, kept, token, temperature), np.float64)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected), err_msg=f"{FIELDS}, T = {temperature}")
        # what float32 cannot hold is its largest number or infinity
        found, expected = (np.clip(x, -LARGEST, LARGEST) for x in (found, expected))
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=5e-6, err_msg=f"T = {temperature}")


def test_a_part_of_a_long_row_is_measured_as_the_float64_twin_does():
    z = rows_of("normal", stream(1, "long"), 2, 50_000)
    for floor in (0.0, 3.0):
        kept = z > floor * z.std(-1, keepdims=True) + z.mean(-1, keepdims=True)
        token = np.array([np.flatnonzero(row)[-1] for row in kept], np.int32)
        expected = statistics_of(z, kept, token, 0.9)
        np.testing.assert_allclose(step_statistics(z, kept, token, np.float32(0.9)), expected, rtol=2e-5, atol=1e-5)


def test_small_tilts_keep_their_digits():
    z, kept, token = adversarial("normal", 1000, 1.0)
    kept[:] = True
    columns = [index(f"psi[{factor:.3g}]") for factor in (0.99, 1.01)]
    expected, found = statistics_of(z, kept, token, 1.0)[:, columns], np.asarray(step_statistics(z, kept, token, 1.0))[:, columns]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize(
    ("row", "counter"), [([np.nan, 1.0, 2.0], "nan"), ([np.inf, 1.0, 2.0], "inf"), ([-np.inf, -np.inf, -np.inf], "all_masked")]
)
def test_a_poisoned_row_has_its_counter_and_nothing_else(row, counter):
    z = np.array([row, [0.0, 1.0, 2.0]], np.float32)
    for vectors in (statistics_of(z, z > -np.inf, [1, 1], 1.0), np.asarray(step_statistics(z, z > -np.inf, jnp.array([1, 1]), 1.0))):
        poisoned, clean = told(vectors[0]), told(vectors[1])
        assert poisoned[counter] == 1
        assert {name for name, value in poisoned.items() if value is not None} == {"kept", "nan", "inf", "all_masked"}
        assert np.isnan(vectors[0, len(NUMBERS) :]).all()
        assert None not in clean.values()


def test_a_row_is_what_it_is_alone():
    z = rows_of("normal", stream(2, "rows"), 6, 300)
    z[2], z[4, 7] = -np.inf, np.nan
    token = np.arange(6, dtype=np.int32)
    together = np.asarray(step_statistics(z, z > 0, token, 0.8))
    for row in range(6):
        alone = step_statistics(z[row : row + 1], z[row : row + 1] > 0, token[row : row + 1], 0.8)
        np.testing.assert_array_equal(np.asarray(alone)[0], together[row])


def test_new_values_compile_nothing():
    traced = []

    @jax.jit
    def step(z, kept, token, temperature):
        traced.append(z.shape)
        return step_statistics(z, kept, token, temperature)

    z = jnp.asarray(rows_of("normal", stream(4, "compile"), 3, 200))
    for temperature in np.array([0.5, 1.0, -2.0, 0.0, np.inf, np.nan], np.float32):
        for floor in (-100.0, 0.0, 100.0):
            step(z * 2, z > floor, jnp.array([1, 2, -1], jnp.int32), temperature)
    assert traced == [(3, 200)]


def test_the_law_of_a_chain_is_that_of_what_it_left():
    z = jnp.asarray(rows_of("normal", stream(6, "chain"), 3, 50))
    chains = [
        samplers.chain(samplers.top_k(9), samplers.temperature(0.7), samplers.top_p(0.9)),
        samplers.chain(samplers.smoothing(0.2, 1.5), samplers.temperature(0.7), samplers.min_p(0.05)),
    ]
    for chain in chains:
        final, _, _ = chain(z)
        token, told_of_draw = samplers.draw(jax.random.key(1), final)
        vector = np.asarray(chain_statistics(chain, z, final, token, None))
        expected = statistics_of(np.asarray(final), np.asarray(final) > -np.inf, np.asarray(token), 1.0)
        same = [index(name) for name in ("entropy", "varentropy", "log_max_min_ratio", "kept", "surprisal", "excess")]
        np.testing.assert_allclose(vector[:, same], expected[:, same], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(vector[:, index("surprisal")], told_of_draw["surprisal"], rtol=1e-5, atol=1e-6)
        assert (vector[:, index("mass_removed")] > 0).all()


def test_what_does_not_fit_is_refused():
    row = np.zeros((1, 3))
    with pytest.raises(ParameterError, match=r"\(1, 3\) and kept \(1, 2\)"):
        statistics_of(row, np.ones((1, 2), bool), [0], 1.0)
    with pytest.raises(ParameterError, match="one id below 3 a row"):
        statistics_of(row, row == 0, [3], 1.0)
