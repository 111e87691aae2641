"""The fuzzer of validators: planted defects are caught with a minimal configuration, and correct validators are accused of nothing."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from samplerfuzz.core.dialects import DIALECTS
from samplerfuzz.probe.census.registry import AnomalousTokens
from samplerfuzz.safety import (
    Bound,
    Decision,
    DistributionMonitor,
    Policy,
    Profile,
    RepetitionChecker,
    Result,
    SamplingParamsValidator,
    SamplingSafetyPipeline,
    TemperatureValidator,
    TokenAnomalyDetector,
)
from samplerfuzz.safety.bounds import ACTIONS, default_bounds, domain, is_whole
from samplerfuzz.safety.fuzzing.campaign import fuzz_validators
from samplerfuzz.safety.fuzzing.judge import Judge, exact
from samplerfuzz.safety.fuzzing.throws import single

POLICY = Policy()
CLAMPING = Policy(parameters={name: replace(bound, action="clamp") for name, bound in default_bounds().items()})


def policy_of(seed):
    """A random policy, valid as a file's would be."""
    rng, bounds = np.random.default_rng(seed), {}
    for name, shipped in default_bounds().items():
        low, high = domain(name)
        drawn = [low, high, shipped.minimum, shipped.maximum, 0.0, rng.normal(), 100 * rng.normal()]
        least, most = sorted(min(max(float(rng.choice(drawn)), low), high) for _ in range(2))
        if is_whole(name):
            least, most = math.floor(least), math.floor(most)
        default = None if name == "logit_bias" else [least, most, *[None] * 10][rng.integers(12)]
        bounds[name] = Bound(minimum=least, maximum=most, default=default, action=ACTIONS[rng.integers(3)])
    negative = bool(rng.integers(2))
    if not negative:
        heat = bounds["temperature"]
        bounds["temperature"] = Bound(minimum=max(heat.minimum, 0.0), maximum=max(heat.maximum, 0.0), action=heat.action)
    return Policy(
        parameters=bounds,
        allow_negative_temperature=negative,
        unknown=("accept", "flag", "reject")[rng.integers(3)],
        add_defaults=bool(rng.integers(2)),
        dialect=(None, *DIALECTS)[rng.integers(1 + len(DIALECTS))],
    )


@pytest.mark.parametrize("seed", range(3))
def test_random_policies_are_accused_of_nothing(seed):
    policy = policy_of(seed)
    outcome = fuzz_validators(policy, validators=SamplingSafetyPipeline(policy=policy).validators, seed=seed, mixed=300)
    assert [finding.text() for finding in outcome.findings] == []
    assert outcome.cases > 4000


@pytest.mark.parametrize("policy", [POLICY, CLAMPING], ids=["shipped", "clamping"])
def test_the_shipped_validators_are_accused_of_nothing(policy):
    tokens = AnomalousTokens(model="m", model_sha256="", tokenizer_sha256="", threshold=0.01, tokens={0: 0.0}, texts={0: "\ud800"})
    profile = Profile.of([[{"entropy": float(i), "kept": 3}] * 4 for i in range(120)])
    validators = (
        TemperatureValidator(policy=policy),
        SamplingParamsValidator(policy=policy),
        TokenAnomalyDetector(tokens),
        DistributionMonitor(profile),
        RepetitionChecker(),
    )
    outcome = fuzz_validators(policy, validators=validators, mixed=300)
    assert [finding.text() for finding in outcome.findings] == []


class Temperature:
    """A validator of the temperature with a test of its own: `wrong` says whether a value is out of range."""

    name = "temperature"

    def __init__(self, wrong):
        self.wrong = wrong

    def check(self, observation):
        given = observation.config.get("temperature")
        if given is not None and self.wrong(given):
            yield Result(validator=self.name, severity="medium", message="out of range", parameter="temperature")
        if given is None and observation.config.get("temp") is not None:
            yield from TemperatureValidator().check(observation)


def right(value):
    return isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number) or not 0 <= value <= 2


DEFECTS = {
    "lets NaN pass": (lambda t: right(t) and not (isinstance(t, float | np.floating) and math.isnan(t)), "outside_is_said", "NaN"),
    "open range": (lambda t: right(t) or t == 2, "inside_is_not_accused", 2),
    "misses the lower end": (lambda t: right(t) and not (exact(t) == 0 or (isinstance(exact(t), Fraction) and exact(t) < 0)), "outside_is_said", -1),
    "takes a bool for a number": (lambda t: right(t) and not isinstance(t, bool), "outside_is_said", True),
    "takes a text for a number": (lambda t: right(t) and t != "0.5", "outside_is_said", "0.5"),
    "crashes on an integer without end": (lambda t: right(t) and (not isinstance(t, int) or float(t) > -1e400), "no_crash", "an integer of"),
    "compares before it looks": (lambda t: t < 0 or t > 2 or right(t), "no_crash", None),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_caught_with_one_field(defect):
    wrong, claim, value = DEFECTS[defect]
    outcome = fuzz_validators(POLICY, validators=[Temperature(wrong)], mixed=0)
    assert {finding.claim for finding in outcome.findings} == {claim}
    shown = [finding.to_json()["config"] for finding in outcome.findings]
    assert all(len(config) == 1 for config in shown)
    if value is not None:
        assert any(str(config["temperature"]).startswith(str(value)) for config in shown), shown


def test_the_same_validator_without_a_defect_is_not_accused():
    assert not fuzz_validators(POLICY, validators=[Temperature(right)], mixed=200).findings


def clamps_nan(config):
    decision = CLAMPING.decide(config)
    heat = config.get("temperature")
    if isinstance(heat, float) and math.isnan(heat):
        return Decision(action="clamp", config={**config, "temperature": min(max(heat, 0.0), 2.0)}, results=decision.results)
    return decision


def clamps_to_the_other_end(config):
    decision = CLAMPING.decide(config)
    if decision.action == "clamp" and decision.config.get("top_k") == 100:
        decision.config["top_k"] = 0
    return decision


def clamps_a_bias_to_another_one_outside(config):
    decision = CLAMPING.decide(config)
    if decision.action == "clamp" and isinstance(decision.config.get("logit_bias"), dict):
        decision.config["logit_bias"] = {"5": -101.0}
    return decision


def clamps_silently(config):
    return replace(CLAMPING.decide(config), results=())


def forwards_what_it_rejects(config):
    decision = POLICY.decide(config)
    return replace(decision, action="flag", config=dict(config)) if decision.action == "reject" else decision


def rejects_the_ends(config):
    return Decision(action="reject", config={}) if config.get("top_p") == 1 else POLICY.decide(config)


def rounds_what_passes(config):
    decision = POLICY.decide(config)
    return replace(decision, config={k: round(v, 3) if type(v) is float else v for k, v in decision.config.items()})


def changes_what_it_is_given(config):
    config.pop("seed", None)
    return POLICY.decide(config)


def changes_what_it_forwarded(config):
    decision = POLICY.decide(config)
    is_forwarded = decision.action != "reject"
    return replace(decision, config={**decision.config, "user": 1000 + decision.config.get("user", 0)}) if is_forwarded else decision


def answers_no_json(config):
    decision = POLICY.decide(config)
    bad = Result(validator="v", severity="info", message="m", evidence={"value": float("nan")})
    return replace(decision, results=(*decision.results, bad))


@pytest.mark.parametrize(
    ("policy", "decide", "claim"),
    [
        (CLAMPING, clamps_nan, "nothing_outside_passes"),
        (CLAMPING, clamps_to_the_other_end, "clamped_is_inside"),
        (CLAMPING, clamps_a_bias_to_another_one_outside, "clamped_is_inside"),
        (CLAMPING, clamps_silently, "outside_is_said"),
        (POLICY, forwards_what_it_rejects, "nothing_outside_passes"),
        (POLICY, rejects_the_ends, "nothing_inside_is_refused"),
        (POLICY, rounds_what_passes, "nothing_inside_is_refused"),
        (POLICY, changes_what_it_is_given, "well_formed"),
        (POLICY, answers_no_json, "well_formed"),
        (POLICY, changes_what_it_forwarded, "idempotent"),
    ],
)
def test_a_decision_with_a_defect_is_caught(policy, decide, claim):
    outcome = fuzz_validators(policy, validators=[], decide=decide, mixed=0)
    assert claim in {finding.claim for finding in outcome.findings}


def test_a_bound_that_a_reader_of_the_policy_gets_wrong_is_caught():
    wider = Policy(parameters={**default_bounds(), "min_p": Bound(minimum=0.0, maximum=1.0000000000000002)})
    findings = fuzz_validators(POLICY, validators=[], decide=wider.decide, mixed=0).findings
    assert [(finding.claim, list(finding.config)) for finding in findings] == [("nothing_outside_passes", ["min_p"])]


def test_a_third_partys_validator_is_only_asked_to_bear_what_comes():
    class Brittle:
        name = "theirs"

        def check(self, observation):
            if observation.config.get("top_k", 0) == 31:
                raise KeyError("top_k")
            return ()

    findings = fuzz_validators(POLICY, validators=[Brittle()], mixed=0).findings
    assert [(finding.claim, dict(finding.config)) for finding in findings] == [("no_crash", {"top_k": 31})]


def test_the_same_seed_throws_the_same():
    def configurations(seed):
        seen = []

        def decide(config):
            seen.append(repr(sorted(map(str, config))))
            return POLICY.decide(config)

        fuzz_validators(POLICY, validators=[], decide=decide, seed=seed, mixed=50)
        return seen[-50:]

    assert configurations(3) == configurations(3) != configurations(4)


def test_every_parameter_is_thrown_nan_and_its_own_ends():
    thrown = list(single(POLICY))
    for name, bound in default_bounds().items():
        values = [config[name] for config in thrown if list(config) == [name]]
        if name == "logit_bias":
            values = [addend for value in values if isinstance(value, dict) for addend in value.values()]
        numbers = [value for value in values if type(value) in (int, float)]
        assert any(value != value for value in numbers), name
        assert {bound.minimum, bound.maximum} <= set(numbers), name


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (0.1, Fraction(0.1)),
        (3, Fraction(3)),
        (10**400, Fraction(10**400)),
        ("0.1", '"0.1"'),
        (True, "true"),
        (math.inf, "Infinity"),
        (b"1", "no JSON"),
    ],
    ids=["real", "whole", "long", "text", "bool", "inf", "bytes"],
)
def test_the_judge_reads_what_goes_over_the_wire(value, read):
    assert exact(value) == read


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("temperature", -1e-9, "impossible"),
        ("temperature", 2.0000000000000004, "outside"),
        ("temperature", math.inf, "endless"),
        ("top_k", 100.0, "inside"),
        ("top_k", 100.5, "impossible"),
        ("top_k", 101, "outside"),
        ("top_k", None, "absent"),
        ("logit_bias", {"5": 101, "6": math.nan}, "impossible"),
        ("logit_bias", {"5": 101}, "outside"),
        ("stop", ["x"], "absent"),
    ],
)
def test_the_judge_knows_the_policy(name, value, verdict):
    assert Judge(POLICY).verdict(name, value) == verdict
