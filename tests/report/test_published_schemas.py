"""The published schemas, read by a validator that did not write them: they are JSON Schemas, they take what is written, and they refuse what is refused here."""

import copy
import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError
from test_report_files import finished

import samplerfuzz
from samplerfuzz.core.errors import UsageError
from samplerfuzz.report.schema import SCHEMA_FILE as RUN
from samplerfuzz.safety import RepetitionChecker, SamplingSafetyPipeline, TemperatureValidator, load_policy
from samplerfuzz.safety.policy_model import SCHEMA as POLICY
from samplerfuzz.safety.policy_model import PolicyFile
from samplerfuzz.safety.policy_text import default_text
from samplerfuzz.safety.report import SCHEMA as SAFETY

SCHEMAS = sorted(Path(samplerfuzz.__file__).parent.rglob("*.schema.json"))
WRONG_POLICIES = {
    "an unknown key": "nonsense = 1",
    "another version": "version = 2",
    "a number for a switch": "logprobs = 1",
    "a word that is none": 'on_error = "half"',
    "a meaning that is none": 'logprobs_are = "cooked"',
    "a share above one": "sampling_rate = 1.5",
    "a file without a name": 'registry = ""',
    "no table": "parameters = 3",
    "an unknown parameter": "[parameters.top_q]\nmax = 1",
    "another name of a parameter": "[parameters.temp]\nmax = 1",
    "a parameter without a range": "[parameters.allowed_tokens]\nmax = 1",
    "an unknown end": "[parameters.top_p]\nmaximum = 1",
    "a text for a number": '[parameters.top_p]\nmax = "0.5"',
    "a switch for a number": "[parameters.top_k]\nmin = true",
    "half a token": "[parameters.top_k]\nmax = 50.5",
    "an action that is none": '[parameters.top_p]\naction = "warn"',
    "a default of a bias": "[parameters.logit_bias]\ndefault = 1.0",
}


def validator(path):
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


def test_all_of_them_are_looked_at_here():
    assert {RUN, POLICY, SAFETY} == set(SCHEMAS)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_published_schema_is_a_json_schema(path):
    schema = json.loads(path.read_text(encoding="utf-8"))
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)


def test_the_shipped_policy_is_of_the_schema():
    written = tomllib.loads(default_text())
    validator(POLICY).validate(written)
    uncommented = "\n".join(
        line.removeprefix("#") if line.startswith(("#[", "#min", "#max", "#act")) else line for line in default_text().splitlines()
    )
    everything = tomllib.loads(uncommented)
    assert len(everything["parameters"]) > len(written["parameters"])
    validator(POLICY).validate(everything)
    validator(POLICY).validate({})


@pytest.mark.parametrize("text", WRONG_POLICIES.values(), ids=WRONG_POLICIES)
def test_what_is_no_policy_by_its_shape_is_not_of_the_schema_either(tmp_path, text):
    (tmp_path / "policy.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError):
        load_policy(tmp_path / "policy.toml")
    with pytest.raises(ValidationError):
        validator(POLICY).validate(tomllib.loads(text))


keys = [*PolicyFile.model_fields, "nonsense"]
# 1.0 is an integer to JSON Schema and none to a policy: the one thing on which the two may differ
plain = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, 1.5, -0.25])
    | st.sampled_from(["", "flag", "raw", "open", "closed"])
)
bound = st.dictionaries(
    st.sampled_from(["min", "max", "default", "action", "more"]), plain | st.sampled_from(["clamp", "reject"]), max_size=3
)
ranges = st.dictionaries(st.sampled_from(["temperature", "top_k", "logit_bias", "mirostat", "top_q"]), bound | plain, max_size=3)


@given(st.dictionaries(st.sampled_from(keys), plain, max_size=4), st.none() | ranges)
def test_the_schema_and_the_model_take_the_same(data, parameters):
    data = data if parameters is None else {**data, "parameters": parameters}
    try:
        PolicyFile.model_validate(data)
    except ValueError:
        taken = False
    else:
        taken = True
    assert validator(POLICY).is_valid(data) == taken


def test_a_report_of_a_pipeline_is_of_its_schema_and_another_is_not():
    pipeline = SamplingSafetyPipeline([TemperatureValidator(), RepetitionChecker()])
    for config, text in (({"temperature": 0.7}, "Once upon a time."), ({"temperature": float("nan")}, "no " * 200)):
        report = json.loads(json.dumps(pipeline.validate(config, text).to_json(), allow_nan=False))
        validator(SAFETY).validate(report)
    for change in ({"verdict": "maybe"}, {"format": "another"}, {"more": 1}, {"results": [{}]}, {"checked": {"a": -1}}, {"counts": {}}):
        assert not validator(SAFETY).is_valid({**report, **change})


def test_the_report_of_a_run_is_of_its_schema_and_another_is_not(tmp_path):
    report = json.loads((finished(tmp_path) / "report.json").read_text(encoding="utf-8"))
    validator(RUN).validate(report)
    assert report["findings"]
    for change in ({"schema_version": 2}, {"seed": "7"}, {"findings": [{}]}, {"targets": 3}):
        assert not validator(RUN).is_valid({**report, **change})
    for name in report["findings"][0]:
        less = copy.deepcopy(report)
        del less["findings"][0][name]
        required = name in json.loads(RUN.read_text("utf-8"))["$defs"]["FindingEntry"]["required"]
        assert validator(RUN).is_valid(less) == (not required)
