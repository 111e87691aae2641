"""The pipeline: the seed's call style, third parties, failing validators, and the report that it makes."""

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import samplerfuzz.safety as safety
from samplerfuzz.core.errors import UsageError
from samplerfuzz.safety import Policy, RepetitionChecker, Result, SafetyReport, SamplingSafetyPipeline, TemperatureValidator
from samplerfuzz.safety.report import SCHEMA, schema, schema_text
from samplerfuzz.safety.validators.third_party import GROUP

ROOT = Path(__file__).resolve().parents[2]


class Broken:
    name = "broken"

    def check(self, observation):
        raise RuntimeError("no")
        yield


class Shouting:
    name = "shouting"

    def check(self, observation):
        if observation.text.isupper():
            yield Result(validator=self.name, severity="low", message="shouts")


def test_all_results_come_into_one_report():
    report = SamplingSafetyPipeline().validate({"temperature": 5, "top_p": "1"}, "la " * 100)
    assert report.verdict == "fail"
    assert {r.validator for r in report.results if r.severity == "high"} == {"temperature", "sampling parameters", "repetition"}
    assert report.checked == dict.fromkeys(["temperature", "sampling parameters", "anomalous tokens", "distribution", "repetition"], 1)


def test_an_ordinary_request_passes():
    report = SamplingSafetyPipeline(policy=Policy()).validate({"temperature": 0.7, "top_p": 0.9}, "Once upon a time.", tokens=[1, 2, 3])
    assert report.verdict == "pass"
    assert {r.severity for r in report.results} <= {"info"}


def test_a_pipeline_runs_the_validators_that_it_is_given():
    pipeline = SamplingSafetyPipeline([TemperatureValidator(), RepetitionChecker(), Shouting()])
    assert pipeline.validate({"top_p": 99}, "HEY").verdict == "warn"
    assert pipeline.validate({"top_p": 99}, "hey").results == ()


@pytest.mark.parametrize(("on_error", "verdict"), [("closed", "fail"), ("open", "warn")])
def test_a_validator_that_fails_is_a_result_and_the_others_run(on_error, verdict):
    report = SamplingSafetyPipeline([Broken(), Shouting()], policy=Policy(on_error=on_error)).validate({}, "HEY")
    assert report.verdict == verdict
    assert [r.message for r in report.results] == ["the validator failed: RuntimeError: no", "shouts"]


def test_a_registry_or_profile_that_is_missing_is_told_when_the_pipeline_is_made(tmp_path):
    with pytest.raises(UsageError):
        SamplingSafetyPipeline(policy=Policy(registry=tmp_path / "registry.json"))
    with pytest.raises(UsageError):
        SamplingSafetyPipeline(policy=Policy(profile=tmp_path / "profile.json"))


def entry(value):
    return importlib.metadata.EntryPoint(name="theirs", value=value, group=GROUP)


def test_third_parties_bring_validators(monkeypatch):
    def installed(*, group):
        assert group == "samplerfuzz.validators"
        return [entry("collections:Counter")] if broken else []

    monkeypatch.setattr("samplerfuzz.safety.validators.third_party.entry_points", installed)
    broken = False
    assert len(SamplingSafetyPipeline().validators) == 5
    broken = True
    with pytest.raises(UsageError, match="'theirs' has no name"):
        SamplingSafetyPipeline()


def test_a_third_party_validator_runs_with_the_others(monkeypatch, tmp_path):
    (tmp_path / "theirs_of_shouting.py").write_text(
        "from samplerfuzz.safety import Result\n"
        "class Shouting:\n"
        "    name = 'shouting'\n"
        "    def check(self, observation):\n"
        "        if observation.text.isupper():\n"
        "            yield Result(validator=self.name, severity='low', message='shouts')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("samplerfuzz.safety.validators.third_party.entry_points", lambda *, group: [entry("theirs_of_shouting:Shouting")])
    assert SamplingSafetyPipeline().validate({}, "HEY").of("shouting")[0].message == "shouts"


def test_a_third_party_validator_that_cannot_be_loaded_is_a_usage_error(monkeypatch):
    monkeypatch.setattr("samplerfuzz.safety.validators.third_party.entry_points", lambda *, group: [entry("no_such_module:V")])
    with pytest.raises(UsageError, match="cannot be loaded: ModuleNotFoundError"):
        SamplingSafetyPipeline()


def test_the_lines_of_the_readme_say_what_they_do():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    said = {}
    exec(next(block for block in blocks if "samplerfuzz.safety" in block), said)
    assert (said["decision"].action, said["report"].verdict) == ("reject", "pass")


def result(severity):
    return Result(validator="v", severity=severity, message="m", evidence={"x": 1}, parameter=None)


@pytest.mark.parametrize(
    ("severities", "verdict"),
    [([], "pass"), (["info"], "pass"), (["low"], "warn"), (["info", "medium"], "warn"), (["high", "low"], "fail")],
)
def test_the_verdict_is_that_of_the_worst_result(severities, verdict):
    assert SafetyReport(results=tuple(map(result, severities))).verdict == verdict


def test_reports_merge():
    one = SafetyReport(results=(result("low"),), checked={"v": 1})
    two = SafetyReport(results=(result("high"),), checked={"v": 2, "w": 1})
    merged = one.merge(two)
    assert (merged.verdict, merged.checked, len(merged.results)) == ("fail", {"v": 3, "w": 1}, 2)
    assert merged.counts() == {"info": 0, "low": 1, "medium": 0, "high": 1}
    assert one.merge(SafetyReport()) == one


def test_a_report_is_json_of_its_published_schema():
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), f"run {sys.executable} -m samplerfuzz.safety.report"
    data = json.loads(json.dumps(SamplingSafetyPipeline().validate({"temperature": float("nan")}, "x").to_json(), allow_nan=False))
    outer, inner = schema(), schema()["properties"]["results"]["items"]
    assert data.keys() == set(outer["required"]) == outer["properties"].keys()
    assert data["verdict"] in outer["properties"]["verdict"]["enum"]
    assert data["results"]
    for item in data["results"]:
        assert item.keys() == set(inner["required"])
        assert item["severity"] in inner["properties"]["severity"]["enum"]


def test_every_public_name_is_there():
    for name in safety.__all__:
        assert getattr(safety, name).__name__ in (name, "TokenAnomalyDetector")
    with pytest.raises(AttributeError):
        safety.Nonsense  # noqa: B018


@pytest.mark.parametrize(
    "statement",
    [
        "import samplerfuzz.safety",
        "from samplerfuzz.safety import *",
        "from samplerfuzz.safety import load_policy; load_policy(None).decide({'temperature': 9})",
        "from samplerfuzz.safety import SamplingSafetyPipeline; SamplingSafetyPipeline().validate({'temperature': 9}, 'a ' * 99)",
    ],
)
def test_a_proxy_can_validate_without_jax_or_scipy(statement):
    heavy = ("jax", "flax", "scipy", "torch", "samplerfuzz.llama", "samplerfuzz.samplers")
    code = f"import sys\n{statement}\nsys.exit(str([m for m in {heavy!r} if m in sys.modules]) if set({heavy!r}) & set(sys.modules) else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}, timeout=300)
    assert done.returncode == 0, done.stderr
