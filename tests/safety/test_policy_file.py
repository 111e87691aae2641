"""A policy file is read strictly, and an error names file, line and key."""

import json
import sys
from dataclasses import replace

import pytest

from samplerfuzz.core.errors import UsageError
from samplerfuzz.safety import Policy, load_policy
from samplerfuzz.safety.bounds import Bound, bounded, default_bounds
from samplerfuzz.safety.policy_model import SCHEMA, PolicyFile, schema_text
from samplerfuzz.safety.policy_text import default_text

TOML = """\
unknown = "reject"
sampling_rate = 0.25
registry = "census/registry.json"
dialect = "vllm"

[parameters]
min_p = {max = 0.5}

[parameters.temperature]
min = 0.2
max = 1 # an integer will do
default = 0.7
action = "clamp"
"""
YAML = """\
unknown: reject
sampling_rate: 0.25
registry: census/registry.json
dialect: vllm
parameters:
  min_p: {max: 0.5}
  temperature:
    min: 0.2
    max: 1
    default: 0.7
    action: clamp
"""


def written(folder, text, suffix=".toml"):
    path = folder / f"policy{suffix}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(("text", "suffix"), [(TOML, ".toml"), (YAML, ".yaml"), (YAML, ".yml")])
def test_a_file_is_laid_over_the_shipped_policy(tmp_path, text, suffix):
    policy = load_policy(written(tmp_path, text, suffix))
    assert policy.parameters["temperature"] == Bound(minimum=0.2, maximum=1.0, default=0.7, action="clamp")
    assert policy.parameters["min_p"] == Bound(minimum=0.0, maximum=0.5)
    assert (policy.unknown, policy.sampling_rate, policy.dialect) == ("reject", 0.25, "vllm")
    assert policy.registry == tmp_path / "census" / "registry.json"
    assert {name: b for name, b in policy.parameters.items() if b != default_bounds()[name]}.keys() == {"temperature", "min_p"}


def test_without_a_file_the_policy_is_the_shipped_one():
    assert load_policy(None) == Policy()


def test_the_file_that_is_written_is_the_shipped_policy(tmp_path):
    path = written(tmp_path, default_text())
    assert replace(load_policy(path), source=None) == Policy()


def test_the_commented_ranges_of_the_written_file_are_those_in_force(tmp_path):
    text = "\n".join(line[1:] if line.startswith(("#[", "#min", "#max", "#action")) else line for line in default_text().splitlines())
    assert all(f"\n[parameters.{name}]" in text for name in bounded())
    assert replace(load_policy(written(tmp_path, text)), source=None) == Policy()


@pytest.mark.parametrize("suffix", [".toml", ".yaml"])
def test_an_empty_file_is_the_shipped_policy(tmp_path, suffix):
    assert replace(load_policy(written(tmp_path, "", suffix)), source=None) == Policy()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smapling_rate = 1.0", ":1: smapling_rate: unknown key; did you mean 'sampling_rate'?"),
        ("\n\n[parameters.top_k]\nmax = 50.5", ":4: parameters.top_k.max: input should be a valid integer, found 50.5"),
        ("[parameters.top_k]\nmin = true", ":2: parameters.top_k.min: input should be a valid integer, found true"),
        ('[parameters.top_p]\nmax = "0.5"', ":2: parameters.top_p.max: input should be a valid number, found '0.5'; leave out the quotes"),
        ("[parameters.top_p]\nmax = nan", ":2: parameters.top_p.max: input should be a finite number, found NaN"),
        ("[parameters.top_p]\nmax = inf", ":2: parameters.top_p.max: input should be a finite number, found inf"),
        ("[parameters.top_p]\nmaximum = 1", ":2: parameters.top_p.maximum: unknown key; did you mean 'max'?"),
        ("[parameters.top_q]\nmax = 1", ":1: parameters.top_q: unknown key; did you mean 'top_p'?"),
        ("[parameters.temp]\nmax = 1", ":1: parameters.temp: a policy calls it 'temperature'"),
        ("[parameters.allowed_tokens]\nmax = 1", ":1: parameters.allowed_tokens: a list of token ids has no range"),
        ("[parameters.logit_bias]\ndefault = 1.0", ":2: parameters.logit_bias.default: unknown key"),
        ('[parameters.top_p]\naction = "warn"', ":2: parameters.top_p.action: input should be 'reject', 'clamp' or 'flag', found 'warn'"),
        ("[parameters.top_p]\n\nmin = 0.5\nmax = 0.4", ":3: parameters.top_p.min: min 0.5 is above max 0.4"),
        (
            "[parameters.top_p]\nmax = 0.5",
            ":2: parameters.top_p.max: the shipped default 0.9 is outside [0.1, 0.5]; state a default within",
        ),
        ("[parameters.top_p]\ndefault = 0", ":2: parameters.top_p.default: the default 0 is outside [0.1, 1]"),
        ("[parameters.repetition_penalty]\nmin = 0.0", ":2: parameters.repetition_penalty.min: 0 is outside [5e-324, "),
        ("[parameters.mirostat]\nmax = 3", ":2: parameters.mirostat.max: 3 is outside [0, 2], where mirostat is defined"),
        ("[parameters.temperature]\nmin = -1.0", ":2: parameters.temperature.min: -1 lets negative temperatures pass; say allow"),
        ("# x\nallow_negative_temperature = true", ":2: allow_negative_temperature: nothing passes by it while parameters.temperature.min"),
        ("sampling_rate = 1.5", ":1: sampling_rate: input should be less than or equal to 1, found 1.5"),
        ('on_error = "half"', ":1: on_error: input should be 'closed' or 'open', found 'half'"),
        ('dialect = "vlm"', ":1: dialect: 'vlm' is no engine that samplerfuzz knows"),
        ("logprobs = 1", ":1: logprobs: input should be a valid boolean, found 1"),
        ("version = 2", ":1: version: input should be 1, found 2"),
        ("version = true", ":1: version: input should be 1, found true"),
        ("parameters = 3", ":1: parameters: input should be"),
        ("[parameters.top_p]\nmin = 0.1\nmin = 0.2", ":3: no TOML"),
        ("unknown = 'flag'\nsampling_rate 0.5", ":2: no TOML"),
        ("version = 1" + "0" * 5000, ": no TOML"),
        ("x = " + "[" * 5000, ""),
        (b"# \n\xff\xfe", ":2: no UTF-8 from byte 3 on"),
    ],
)
def test_an_error_in_toml_names_file_line_and_key(tmp_path, text, expected):
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_policy(path)
    assert f"{path}{expected}" in str(caught.value) or (expected == ": no TOML" and "no TOML" in str(caught.value))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parameters:\n  top_k:\n    min: 10\n    min: 11\n", ":4: parameters.top_k.min: stands twice, first on line 3; keep one"),
        ("unknown: flag\nunknown: flag\n", ":2: unknown: stands twice"),
        ("parameters:\n  temperature: {min: 0, max: .nan}\n", ":2: parameters.temperature.max: input should be a finite number, found NaN"),
        ("parameters:\n  top_p:\n    max: '1'\n", ":3: parameters.top_p.max: input should be a valid number, found '1'"),
        ("parameters:\n  top_p:\n    max: 1e0\n", ":3: parameters.top_p.max: input should be a valid number, found '1e0'"),
        ("logprobs: off\non_error: 3\n", ":2: on_error: input should be 'closed' or 'open', found 3"),
        ("a: &x 1\nb: *x\n", ":2: the alias *x"),
        ("parameters:\n  <<: {top_k: {max: 1}}\n", ":2: a key that is no text, or a merge"),
        ("1: 2\n", ":1: a key that is no text"),
        ("? [a]\n: 1\n", ":1: a key that is no text"),
        ("- 1\n", ":1: expected keys with values"),
        ("unknown: !!python/object/apply:os.system ['true']\n", ":1: the tag !!python/object/apply:os.system; a policy uses none"),
        ("unknown: !!python/name:os.system ''\n", ":1: no YAML: could not determine a constructor"),
        ("parameters: !!set {a}\n", ":1: the tag !!set"),
        ("unknown: [\n", ":2: no YAML"),
        ("unknown: flag\n---\nunknown: flag\n", ":2: no YAML: but found another document"),
        ("unknown: \x01\n", ":1: no YAML"),
        ("a: " + "[" * 40 + "]" * 40, ":1: nested too deep"),
        ("a: " + "{b: " * 2000, ":1: "),
        ("x: " + "1" * 5000, ":1: no YAML"),
    ],
)
def test_an_error_in_yaml_names_file_line_and_key(tmp_path, text, expected):
    path = written(tmp_path, text, ".yaml")
    with pytest.raises(UsageError) as caught:
        load_policy(path)
    assert f"{path}{expected}" in str(caught.value) or "nested too deep" in str(caught.value)


def test_all_problems_are_told_at_once_in_the_order_of_the_file(tmp_path):
    path = written(tmp_path, "nonsense = 1\n[parameters.top_p]\nmax = nan\n[parameters.top_k]\nmin = 1.5\n")
    with pytest.raises(UsageError) as caught:
        load_policy(path)
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["1", "3", "5"]


@pytest.mark.parametrize("name", ["missing.toml", "policy.json", "policy"])
def test_a_file_that_cannot_be_a_policy_is_a_usage_error(tmp_path, name):
    if "missing" not in name:
        (tmp_path / name).write_text("{}")
    with pytest.raises(UsageError, match=name):
        load_policy(tmp_path / name)


def test_negative_temperatures_pass_where_both_keys_say_so(tmp_path):
    policy = load_policy(written(tmp_path, "allow_negative_temperature = true\n[parameters.temperature]\nmin = -1.0\n"))
    assert policy.decide({"temperature": -0.5}).action == "accept"
    assert policy.decide({"temperature": -1.5}).action == "reject"


def test_the_published_schema_is_current():
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), f"run {sys.executable} -m samplerfuzz.safety.policy_model"


def test_the_schema_has_every_key_and_allows_no_other():
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert schema["properties"].keys() == PolicyFile.model_fields.keys()
    assert schema["additionalProperties"] is False
    parameters = schema["$defs"]["Parameters"]
    assert parameters["properties"].keys() == set(bounded())
    assert parameters["additionalProperties"] is False
