"""Targets under a dialect: an engine's own way is never accused, another engine's way is."""

import numpy as np
import pytest

from samplerfuzz import samplers
from samplerfuzz.core.dialects import DIALECTS, ENGINES
from samplerfuzz.core.errors import UsageError
from samplerfuzz.engine.campaign import SIZES, Limits
from samplerfuzz.engine.events import FindingFound, TargetFinished
from samplerfuzz.engine.run import CLEAN, run, select_checks
from samplerfuzz.targets.plain import PlainTarget, target

SIGNATURES = {
    "llama.cpp": "top_n_sigma top_k typical_p top_p min_p xtc_threshold temperature",
    "koboldcpp": "top_k typical_p top_p min_p temperature top_n_sigma xtc_threshold",
    "mlx-lm": "top_p min_p xtc_threshold top_k temperature",
    "transformers": "temperature top_k top_p min_p typical_p",
    "vllm": "temperature min_p top_k top_p",
    "sglang": "temperature top_k top_p min_p",
    "keras-hub": "temperature top_k top_p",
    "gemma": "temperature top_p",
    "x-transformers": "top_p temperature",
    "samplerfuzz": "temperature top_k typical_p top_p min_p",
}


def engine(name, *, behave_as=None, only=None, **declaration):
    """Return a target that declares the dialect `name` and does what `behave_as` does."""
    parameters = (only or SIGNATURES[name]).split()

    def sample(logits, **given):
        if not np.isfinite(logits[logits != -np.inf]).all() or (logits == -np.inf).all(-1).any():
            raise ValueError("logits")
        if "xtc_threshold" in given:
            given["xtc_probability"] = 1.0
        chain = samplers.from_dialect(behave_as or name, vocabulary=logits.shape[1], **given)
        # one shape, so that it is compiled once: 64 rows at a time, and the most tokens with the three that a relation appends
        rows, size = logits.shape
        z = np.full((-(-rows // 64) * 64, max(SIZES) + 3), -np.inf, np.float32)
        z[:rows, :size], z[rows:] = logits, 0
        return np.concatenate([np.asarray(chain(part)[0]) for part in np.split(z, len(z) // 64)])[:rows, :size]

    source = f"lambda logits, {', '.join(parameters)}: sample(logits, {', '.join(f'{p}={p}' for p in parameters)})"
    function = eval(source, {"sample": sample})
    return target(dialect=name, returns="logits", **declaration)(function)


def fuzz(function, *, cases=900):
    findings, pairs = [], []

    def listen(event):
        if isinstance(event, FindingFound):
            findings.append((event.finding.violation.check, event.finding.violation.title))
        if isinstance(event, TargetFinished):
            pairs.append(event.pairs)

    checks = select_checks(["support", "distribution", "contract", "rows", "metamorphic"], [])
    subject = PlainTarget(function, locator="x", time_limit=60)
    status = run([subject], checks=checks, seed=5, limits=Limits(seconds=60, cases=cases, large=()), fail_on="low", listener=listen)
    return status, findings, pairs[0]


@pytest.mark.parametrize("name", DIALECTS)
def test_an_engine_s_own_way_is_never_accused(name):
    status, findings, pairs = fuzz(engine(name))
    assert findings == []
    assert status == CLEAN
    assert pairs > 500


# declared, done, and the parameters in which the two differ
OTHER_WAYS = [
    ("sglang", "vllm", "top_k top_p"),
    ("vllm", "sglang", "top_k top_p"),
    ("vllm", "llama.cpp", "temperature top_p"),
    ("vllm", "transformers", "temperature"),
    ("transformers", "sglang", "top_k"),
    ("llama.cpp", "transformers", "top_k"),
    ("llama.cpp", "gemma", "top_p"),
    ("gemma", "llama.cpp", "top_p"),
    ("mlx-lm", "llama.cpp", "xtc_threshold temperature"),
]
WRONG_SETS = {"removed_token_has_no_probability", "kept_token_has_probability", "no_more_tokens_stay_than_a_rule_keeps"}


@pytest.mark.parametrize(("declared", "done", "parameters"), OTHER_WAYS)
def test_another_engine_s_way_is_accused(declared, done, parameters):
    """Which of several wrong sets is met first, and when, is chance."""
    _, findings, _ = fuzz(engine(declared, behave_as=done, only=parameters), cases=20_000)
    assert WRONG_SETS & {name for name, _ in findings}


def test_order_and_policies_come_from_the_dialect():
    spec = PlainTarget(engine("llama.cpp"), locator="x").spec
    assert spec.order == ("top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc", "temperature")
    assert (spec.negative_temperature, spec.zero_temperature, spec.order_was_assumed) == ("greedy", "greedy", False)
    assert spec.engine is DIALECTS["llama.cpp"]


def test_what_is_declared_beside_a_dialect_stands():
    spec = PlainTarget(
        engine("vllm", only="top_k temperature", order=["top_k", "temperature"], zero_temperature="reject"), locator="x"
    ).spec
    assert (spec.order, spec.zero_temperature) == (("top_k", "temperature"), "reject")


def test_a_parameter_that_the_engine_does_not_have_is_refused():
    with pytest.raises(UsageError, match=r"vllm 0.33.0 has no parameter 'typical_p'; it has .*say order="):
        PlainTarget(engine("vllm", only="typical_p"), locator="x")


def test_every_engine_is_fuzzed():
    assert {item.name for item in ENGINES} < set(SIGNATURES)
