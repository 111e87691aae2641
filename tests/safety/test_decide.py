"""What becomes of a request: the shipped ranges, the three actions, and what never passes."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplerfuzz.core.errors import UsageError
from samplerfuzz.core.registry import parameter, parameter_owners
from samplerfuzz.safety import Bound, Policy
from samplerfuzz.safety.bounds import bounded, default_bounds, domain
from samplerfuzz.safety.names import OTHER_FIELDS, aliases
from samplerfuzz.safety.shown import shown

NAN, INF = math.nan, math.inf


def policy_with(name, **changes):
    return Policy(parameters={**default_bounds(), name: Bound(**changes)})


@pytest.mark.parametrize(
    ("name", "low", "high", "default"), [("temperature", 0.0, 2.0, 1.0), ("top_k", 0, 100, 50), ("top_p", 0.1, 1.0, 0.9)]
)
def test_the_shipped_policy_has_the_safe_ranges(name, low, high, default):
    bound = Policy().parameters[name]
    assert (bound.minimum, bound.maximum, bound.default, bound.action) == (low, high, default, "reject")


def test_every_parameter_of_the_registry_is_decided_about():
    assert set(bounded()) | {name for name in parameter_owners() if parameter(name).kind == "ids"} == set(parameter_owners())
    for name, bound in default_bounds().items():
        low, high = domain(name)
        assert low <= bound.minimum < bound.maximum <= high, name


@pytest.mark.parametrize("value", [0, 0.0, -0.0, 1, 2, 2.0, np.float32(0.5), np.int64(2), 5e-324])
def test_a_temperature_within_the_range_passes_as_it_is(value):
    decision = Policy().decide({"temperature": value})
    assert decision.action in ("accept", "flag")
    assert decision.config["temperature"] is value


@pytest.mark.parametrize(
    "value", [2.0000000000000004, -5e-324, 3, 10**400, INF, -INF, NAN, True, "0.5", [0.5], {"a": 1}, b"1", 10**5000], ids=shown
)
def test_another_temperature_is_rejected_and_nothing_is_forwarded(value):
    decision = Policy().decide({"temperature": value, "model": "m"})
    assert (decision.action, decision.config) == ("reject", {})
    assert decision.results[0].parameter == "temperature"
    assert len(decision.results[0].message) < 300
    json.dumps([result.to_json() for result in decision.results], allow_nan=False)


@pytest.mark.parametrize("action", ["reject", "clamp", "flag"])
@pytest.mark.parametrize("value", [NAN, np.float32(NAN), -NAN, "1", True, None, []])
@pytest.mark.parametrize("name", ["temperature", "top_k", "min_p", "logit_bias"])
def test_what_is_no_number_is_rejected_whatever_the_action(name, value, action):
    bound = default_bounds()[name]
    policy = policy_with(name, minimum=bound.minimum, maximum=bound.maximum, action=action)
    given = {name: {"5": value} if name == "logit_bias" else value}
    is_absent = value is None and name != "logit_bias"
    assert policy.decide(given).action == ("accept" if is_absent else "reject")


@pytest.mark.parametrize(("value", "forwarded"), [(3, 2.0), (INF, 2.0), (10**400, 2.0), (2.0000000000000004, 2.0), (0.4, 0.5)])
def test_a_clamped_value_is_the_nearest_end(value, forwarded):
    policy = policy_with("temperature", minimum=0.5, maximum=2.0, action="clamp")
    decision = policy.decide({"temperature": value, "stop": ["x"]})
    assert decision.action == "clamp"
    assert decision.config == {"temperature": forwarded, "stop": ["x"]}
    assert f"forwarded as {forwarded}" in decision.results[0].message


def test_a_flagged_value_passes_and_is_said():
    policy = policy_with("top_k", minimum=0, maximum=100, action="flag")
    decision = policy.decide({"top_k": 4000})
    assert (decision.action, decision.config) == ("flag", {"top_k": 4000})
    assert [(result.severity, result.parameter) for result in decision.results] == [("medium", "top_k")]
    assert policy.decide({"top_k": INF}).action == "reject"
    assert policy.decide({"top_k": 40.5}).action == "reject"


@pytest.mark.parametrize("action", ["reject", "clamp", "flag"])
def test_a_negative_temperature_needs_leave(action):
    low = Bound(minimum=-1.0, maximum=2.0, action=action)
    bounds = {**default_bounds(), "temperature": low}
    assert Policy(parameters=bounds).decide({"temperature": -0.5}).action == "reject"
    assert Policy(parameters=bounds, allow_negative_temperature=True).decide({"temperature": -0.5}).action == "accept"


def test_defaults_are_added_only_where_the_policy_says_so():
    assert Policy().decide({"top_p": None}).config == {"top_p": None}
    assert Policy(add_defaults=True).decide({"top_p": None, "temperature": 0.5}).config == {"temperature": 0.5, "top_k": 50, "top_p": 0.9}
    assert Policy(add_defaults=True).decide({"temp": 0.5}).config == {"temp": 0.5, "top_k": 50, "top_p": 0.9}


@pytest.mark.parametrize(("called", "name"), sorted(aliases().items()))
def test_another_name_of_a_parameter_has_its_bound(called, name):
    if parameter(name).kind == "ids":
        assert Policy().decide({called: [-1]}).action == "reject"
    elif parameter(name).kind == "bias":
        assert Policy().decide({called: {"3": NAN}}).action == "reject"
    else:
        assert Policy().decide({called: NAN}).action == "reject"


def test_a_parameter_given_under_two_names_is_said():
    results = Policy().decide({"repeat_penalty": 1.1, "repetition_penalty": 1.2}).results
    assert any("one parameter" in result.message for result in results)


def test_fields_that_are_no_sampling_parameters_pass_untouched():
    config = {field: object() for field in sorted(OTHER_FIELDS)}
    decision = Policy(unknown="reject").decide(config)
    assert (decision.action, decision.config, decision.results) == ("accept", config, ())
    assert not OTHER_FIELDS & (set(parameter_owners()) | set(aliases()))


@pytest.mark.parametrize("unknown", ["accept", "flag", "reject"])
def test_a_field_that_nobody_knows_is_named_with_the_nearest_one(unknown):
    decision = Policy(unknown=unknown).decide({"temprature": 1e9})
    assert decision.action == unknown
    assert "did you mean 'temperature'?" in decision.results[0].message


def test_parameters_hidden_in_another_object_are_said():
    result = Policy().decide({"options": {"temperature": 99}}).results[0]
    assert result.severity == "medium"
    assert "holds temperature" in result.message


@pytest.mark.parametrize(
    ("config", "about"),
    [
        ({"temperature": 0, "top_p": 0.9}, "top_p"),
        ({"temperature": 0, "min_p": 0.1}, "min_p"),
        ({"top_k": 1, "temperature": 1.5}, "temperature"),
        ({"xtc_threshold": 0.2}, "xtc_threshold"),
        ({"mirostat_tau": 5.0}, "mirostat_tau"),
        ({"dry_base": 2.0}, "dry_base"),
        ({"min_tokens_to_keep": 3}, "min_tokens_to_keep"),
        ({"penalty_last_n": 64}, "penalty_last_n"),
    ],
)
def test_what_has_no_effect_beside_the_others_is_said_and_passes(config, about):
    decision = Policy().decide(config)
    assert decision.action == "accept"
    assert [result.parameter for result in decision.results if "no effect" in result.message] == [about]


@pytest.mark.parametrize(
    "config",
    [
        {"temperature": 0.7, "top_p": 0.9, "top_k": 40},
        {"temperature": 0},
        {"temperature": 0, "dynatemp_range": 0.5, "top_p": 0.9},
        {"temperature": 0, "repetition_penalty": 1.1},
        {"temperature": 0, "typical_p": 0.5},
        {"xtc_threshold": 0.2, "xtc_probability": 0.5},
        {"mirostat": 2, "mirostat_tau": 5.0, "mirostat_eta": 0.1},
        {"presence_penalty": 1, "penalty_last_n": 64},
        {"min_tokens_to_keep": 3, "min_p": 0.1},
        {"top_k": 1, "temperature": 1},
    ],
)
def test_what_has_an_effect_is_not_said_to_have_none(config):
    assert Policy().decide(config).results == ()


@pytest.mark.parametrize("lists", [{"allowed_tokens": []}, {"allowed_tokens": [3, 4], "forbidden_tokens": [4, 3, 9]}])
def test_lists_that_leave_no_token_are_flagged(lists):
    assert Policy().decide(lists).action == "flag"


@pytest.mark.parametrize(
    ("dialect", "config", "severity", "words"),
    [
        ("vllm", {"mirostat": 2}, "low", "has no parameter mirostat"),
        ("vllm", {"frequency_penalty": 5}, "medium", "takes [-2, 2]"),
        ("vllm", {"temperature": 0.005}, "low", "computes with temperature=0.01"),
        ("llama.cpp", {"mirostat": 2, "top_p": 0.5}, "low", "ignores top_p where mirostat is on"),
        ("transformers", {"temperature": 0}, "medium", "takes (0, inf)"),
        ("llama.cpp", {"xtc_threshold": 0.7, "xtc_probability": 0.5}, "info", "for switched off"),
    ],
)
def test_what_the_engine_behind_ignores_is_said(dialect, config, severity, words):
    results = Policy(dialect=dialect).decide(config).results
    assert [r.severity for r in results if words in r.message] == [severity]
    assert not [r for r in Policy().decide(config).results if words in r.message]


def test_an_engine_with_one_filter_a_call_is_not_given_two():
    results = Policy(dialect="gemma").decide({"top_k": 5, "top_p": 0.5}).results
    assert any("one filter a call" in result.message for result in results)


def test_a_value_that_single_precision_loses_is_flagged():
    assert Policy().decide({"repetition_penalty": 1e300}).action == "flag"
    assert Policy().decide({"repetition_penalty": 5e-324}).action == "flag"


@pytest.mark.parametrize("config", [None, [], "text", 3])
def test_what_is_no_object_is_rejected(config):
    assert Policy().decide(config).action == "reject"


@pytest.mark.parametrize(
    "bad",
    [
        {"minimum": NAN, "maximum": 1.0},
        {"minimum": 0.0, "maximum": INF},
        {"minimum": 2.0, "maximum": 1.0},
        {"minimum": 0.0, "maximum": 1.0, "action": "warn"},
        {"minimum": 0.0, "maximum": 1.0, "default": 2.0},
    ],
)
def test_a_range_that_is_none_is_refused(bad):
    with pytest.raises(UsageError):
        Bound(**bad)


@pytest.mark.parametrize(
    "bad", [{"unknown": "clamp"}, {"on_error": "half"}, {"sampling_rate": NAN}, {"sampling_rate": 1.1}, {"dialect": "vlm"}]
)
def test_a_setting_that_is_none_is_refused(bad):
    with pytest.raises(UsageError):
        Policy(**bad)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=4
)


@given(st.dictionaries(st.sampled_from([*parameter_owners(), "model", "temprature"]), ANYTHING, max_size=5))
def test_a_decision_is_accepted_when_it_is_decided_again(config):
    policy = Policy(parameters={name: Bound(minimum=b.minimum, maximum=b.maximum, action="clamp") for name, b in default_bounds().items()})
    decision = policy.decide(config)
    again = policy.decide(decision.config)
    assert again.action in ("accept", "flag")
    assert again.config == decision.config
