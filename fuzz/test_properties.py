"""The laws of samplers as Hypothesis properties on the built-in ones.

`pytest fuzz` is a look of a minute or two; `pytest fuzz --hypothesis-profile nightly` looks a hundred times as long.
"""

from functools import cache

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from samplerfuzz import strategies
from samplerfuzz.core.registry import TECHNIQUES, parameter
from samplerfuzz.targets import builtin
from samplerfuzz.targets.plain import PlainTarget
from samplerfuzz.targets.target import Outcome

# a first call compiles, which takes longer than any deadline
looked_at = hypothesis.settings(
    max_examples=max(1, hypothesis.settings().max_examples // 4), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
FILTERS = [name for name, item in TECHNIQUES.items() if item.filters and not item.coin and not item.remembers]
OPTIONAL = [name for name, item in TECHNIQUES.items() if item.parameters[0].is_number and item.parameters[0].neutral is not None]

function = cache(builtin.function)


def is_pinned(name):
    """Whether a row's answer depends on the row alone: no draw, no coin."""
    spec = PlainTarget(function(name), locator=f"builtin:{name}").spec
    return spec.returns == "logits" and not spec.tosses


def answer(name, case):
    """Return the logits that a built-in sampler gives, or None where it refuses."""
    outcome = PlainTarget(function(name), locator=f"builtin:{name}", time_limit=600.0).run(case)
    return outcome.value if outcome.kind == "value" else None


def distribution(logits):
    return Outcome(kind="value", form="logits", value=logits).distributions()


@pytest.mark.parametrize("name", builtin.CHAINS)
@looked_at
@given(data=st.data())
def test_a_built_in_sampler_conforms(name, data):
    strategies.assert_conforms(function(name), data.draw(strategies.cases(function(name))), call_timeout=600.0)


@pytest.mark.parametrize("name", FILTERS)
@looked_at
@given(data=st.data())
def test_a_filter_removes_tokens_and_changes_nothing_else(name, data):
    case = data.draw(
        strategies.cases(function(name), ways=["ordinary", "beside threshold"], regimes=["normal", "tied", "masked", "one-ulp"])
    )
    kept = answer(name, case)
    assert kept is not None
    stays = kept > -np.inf
    assert np.array_equal(kept[stays], case.logits[stays])
    assert stays.any(-1).all()


@pytest.mark.parametrize("name", OPTIONAL)
@looked_at
@given(data=st.data())
def test_a_neutral_value_is_neutral(name, data):
    case = data.draw(strategies.cases(function(name), ways=["neutral"], regimes=["normal", "tied", "masked", "dyadic"]))
    # a greedy temperature may have come in beside
    values = {given: parameter(given).switched_off(case.vocabulary) for given in case.parameters}
    off = {given: np.full(case.rows, v, np.float64) if parameter(given).is_number else [v] * case.rows for given, v in values.items()}
    after = answer(name, case.with_(parameters=off))
    assert after is not None
    assert np.array_equal(after, case.logits)


@pytest.mark.parametrize("name", list(filter(is_pinned, builtin.CHAINS)))
@looked_at
@given(data=st.data())
def test_rows_in_another_order_give_the_same_answers_in_that_order(name, data):
    case = data.draw(strategies.cases(function(name), rows=(2, 4), ways=["ordinary", "beside threshold"]))
    order = data.draw(st.permutations(range(case.rows)))
    before, after = answer(name, case), answer(name, case.take(order))
    assert (before is None) == (after is None)
    if before is not None:
        assert np.array_equal(before[order], after, equal_nan=True)


@looked_at
@given(
    logits=strategies.logits(regimes=["normal", "tied", "dyadic", "negative"]),
    power=st.integers(-3, 3),
    temperature=st.sampled_from([0.25, 0.5, 1.0, 2.0]),
)
def test_logits_and_temperature_scale_together(logits, power, temperature):
    scale = np.float32(2.0**power)
    plain = function("temperature")(logits, temperature=np.full(len(logits), temperature))
    scaled = function("temperature")(logits * scale, temperature=np.full(len(logits), temperature * scale))
    assert_allclose(distribution(plain), distribution(scaled), atol=1e-4)


@looked_at
@given(
    logits=strategies.logits(regimes=["normal", "tied", "dyadic", "negative"]),
    temperature=st.sampled_from([0.25, 0.5, 1.0, 2.0]),
)
def test_a_negative_temperature_mirrors_the_logits(logits, temperature):
    mirrored = function("temperature")(-logits, temperature=np.full(len(logits), temperature))
    negative = function("temperature")(logits, temperature=np.full(len(logits), -temperature))
    assert_allclose(distribution(mirrored), distribution(negative), atol=1e-4)
