"""Every registered technique under one contract, whatever it is: a new one adds nothing here."""

import importlib
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from samplerfuzz import samplers
from samplerfuzz.cases import Generator
from samplerfuzz.cases.ids import dense
from samplerfuzz.cases.parameters import edge, ordinary
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.core.registry import TECHNIQUES, load, parameter, technique
from samplerfuzz.targets.builtin import builtin_target

ROWS, SIZE = 8, 16
_RUN = importlib.import_module("samplerfuzz.samplers.chain")._run
HISTORY = {"history": np.tile(np.arange(4, dtype=np.int32), (ROWS, 1)), "history_lengths": np.full(ROWS, 4, np.int32)}
SECTIONS = ("Args:", "Returns:", "Raises:", "Policy:", "Source:", "Example:")

every_technique = pytest.mark.parametrize("name", TECHNIQUES)


def _array(name, value, size):
    """A parameter as a sampler takes it."""
    item = parameter(name)
    if item.is_number:
        return np.asarray(value, np.float32)
    return dense(value, size).astype(np.float32 if item.kind == "bias" else bool)


def _values(name, rng, logits, make):
    return {p.name: _array(p.name, make(p.name, rng, len(logits), logits), logits.shape[1]) for p in technique(name).parameters}


def _inside(name, given, logits):
    """Bring into the range where the definition has an answer, and leave an allowed token to every row."""
    for key, value in given.items():
        low, high = parameter(key).meaning
        if parameter(key).is_number:
            exact = value.astype(np.float64)
            given[key] = np.where((exact >= low) & (exact <= high), value, np.float32(parameter(key).switched_off(SIZE)))
    emptied = np.isneginf(np.asarray(samplers.apply([name], given, logits, **HISTORY))).all(-1)
    for key, value in given.items():
        if parameter(key).kind == "ids":
            given[key] = np.where(emptied[:, None], dense([parameter(key).switched_off(SIZE)] * ROWS, SIZE) > 0, value)
    return given


def _logits(rng):
    z = rng.normal(size=(ROWS, SIZE)).astype(np.float32) * 3
    z[rng.random(z.shape) < 0.2] = -np.inf
    z[:, 3] = 1.0
    return z


@every_technique
def test_any_parameters_compile_once(name):
    rng = np.random.default_rng(0)
    before = _RUN._cache_size()
    for _ in range(50):
        logits = _logits(rng)
        samplers.apply([name], _values(name, rng, logits, ordinary), logits, **HISTORY)
        samplers.apply([name], _values(name, rng, logits, edge), logits, **HISTORY)
    assert _RUN._cache_size() - before <= 1


def test_ten_thousand_configurations_compile_once():
    traced = []

    @jax.jit
    def processed(t, k, p, logits):
        traced.append(1)
        return samplers.chain(samplers.temperature(t), samplers.top_k(k), samplers.top_p(p))(logits)[0]

    rng = np.random.default_rng(0)
    for _ in range(10):
        t, k, p = rng.uniform(-2, 2, 1000), rng.integers(-1, 20, 1000), rng.random(1000)
        processed(*(jnp.asarray(x, jnp.float32) for x in (t, k, p)), jnp.asarray(rng.normal(size=(1000, SIZE)), jnp.float32))
    assert len(traced) == 1


@every_technique
def test_a_row_alone_is_the_row_in_the_batch(name):
    rng = np.random.default_rng(1)
    logits = _logits(rng)
    given = _values(name, rng, logits, ordinary)
    together = np.asarray(samplers.apply([name], given, logits, **HISTORY))
    for row in range(ROWS):
        alone = samplers.apply(
            [name],
            {k: v[row : row + 1] for k, v in given.items()},
            logits[row : row + 1],
            **{k: v[row : row + 1] for k, v in HISTORY.items()},
        )
        np.testing.assert_array_equal(np.asarray(alone)[0], together[row])


@every_technique
def test_neutral_values_change_no_bit_whatever_the_neighbours(name):
    rng = np.random.default_rng(5)
    for _ in range(5):
        logits = _logits(rng)
        given = _values(name, rng, logits, ordinary)
        for key, value in given.items():
            off = parameter(key).switched_off(SIZE)
            assert off is not None, f"{key} has no neutral value"
            value[::2] = _array(key, [off], SIZE)[0]
        out = np.asarray(samplers.apply([name], given, logits, **HISTORY))
        np.testing.assert_array_equal(out[::2], logits[::2])


@every_technique
@pytest.mark.parametrize("make", [ordinary, edge])
def test_masks_stay_and_something_stays(name, make):
    rng = np.random.default_rng(2)
    for _ in range(20):
        logits = _logits(rng)
        out = np.asarray(samplers.apply([name], _inside(name, _values(name, rng, logits, make), logits), logits, **HISTORY))
        assert (out[np.isneginf(logits)] == -np.inf).all()
        assert (out > -np.inf).any(-1).all()
        assert not np.isnan(out).any()


@every_technique
@pytest.mark.parametrize("t", [-1e-3, -2.0, 1e-6, np.inf, -np.inf])
def test_what_is_removed_stays_removed_at_every_temperature(name, t):
    rng = np.random.default_rng(6)
    logits = _logits(rng)
    given = _inside(name, _values(name, rng, logits, ordinary), logits)
    first = samplers.apply([name], given, logits, **HISTORY)
    heated = np.asarray(samplers.apply(["temperature"], {"temperature": np.full(ROWS, t, np.float32)}, first))
    np.testing.assert_array_equal(np.isneginf(heated), np.isneginf(np.asarray(first)))


@every_technique
def test_poison_stays_in_its_row(name):
    rng = np.random.default_rng(3)
    logits = _logits(rng)
    given = _values(name, rng, logits, ordinary)
    clean = np.asarray(samplers.apply([name], given, logits, **HISTORY))
    logits[2, 5] = np.nan
    out = np.asarray(samplers.apply([name], given, logits, **HISTORY))
    assert np.isnan(out[2]).all()
    np.testing.assert_array_equal(np.delete(out, 2, 0), np.delete(clean, 2, 0))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@every_technique
def test_low_precision_logits_keep_their_dtype_and_lose_nothing_on_the_way(name, dtype):
    rng = np.random.default_rng(4)
    logits = jnp.asarray(_logits(rng), dtype)
    given = _values(name, rng, np.asarray(logits, np.float32), ordinary)
    out = samplers.apply([name], given, logits, **HISTORY)
    assert out.dtype == logits.dtype
    exact = samplers.apply([name], given, logits.astype(jnp.float32), **HISTORY)
    np.testing.assert_array_equal(np.asarray(out, np.float32), np.asarray(exact.astype(logits.dtype), np.float32))


@every_technique
def test_it_agrees_with_its_oracle(name):
    target = builtin_target(name)
    spec, rng = target.spec, np.random.default_rng(7)
    generator = Generator(parameters=spec.parameters, inputs=spec.inputs, per_row=spec.per_row)
    thrown = judged = 0
    for strategy in ("ordinary", "beside threshold", "edge", "edge") * 8:
        # of edges the generator makes a few rows a call, since one that is refused spoils the others
        case = generator.case(rng, rows=6400, size=SIZE, strategy=strategy)
        thrown += case.rows
        judgement = Judgement(spec, case, target.run(case))
        wrong = judgement.verdicts
        assert wrong is None or not len(wrong[0]), case.take(wrong[0]).to_json()
        judged += judgement.judged.sum()
    assert thrown >= 100_000
    assert judged > 50_000


@every_technique
def test_its_sampler_says_everything(name):
    constructor = load(technique(name).sampler)
    text = inspect.getdoc(constructor)
    assert [section for section in SECTIONS if section not in text] == []
    assert ">>> " in text.partition("Example:")[2]
    named = re.findall(r"^  (\w+): ", text.partition("Args:")[2].partition("Returns:")[0], re.M)
    assert named == list(inspect.signature(constructor).parameters)
    assert text.partition("\n")[0].endswith(".")


@every_technique
def test_its_module_and_its_twin_are_documented(name):
    for path in (technique(name).sampler, technique(name).oracle):
        module = importlib.import_module(path.partition(":")[0])
        assert len(module.__doc__.split()) > 15, f"{module.__name__} does not say what it decides"
        assert load(path).__doc__
