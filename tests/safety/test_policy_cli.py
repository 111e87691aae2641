"""`samplerfuzz policy`: written, checked and shown; and `samplerfuzz fuzz validators`."""

import json
import math
import runpy
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest

from samplerfuzz.cli.main import main
from samplerfuzz.report.validators import python_text
from samplerfuzz.safety import Profile, load_policy, load_profile
from samplerfuzz.safety.fuzzing import campaign
from samplerfuzz.safety.policy_text import default_text


def run(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main(list(words))
    said = capsys.readouterr()
    return left.value.code, said.out, said.err


def test_what_init_writes_check_accepts(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "policy", "init")[0] == 0
    status, out, _ = run(capsys, "policy", "check", "samplerfuzz-policy.toml")
    assert (status, out) == (0, "samplerfuzz-policy.toml: a policy; 0 of 34 ranges differ from the shipped ones\n")
    assert run(capsys, "policy", "init")[0] == 2
    (tmp_path / "samplerfuzz-policy.toml").write_text("unknown = 'reject'")
    assert run(capsys, "policy", "init", "--force")[0] == 0
    assert load_policy(tmp_path / "samplerfuzz-policy.toml").unknown == "flag"


def test_init_prints_where_it_is_asked_to(capsys):
    assert run(capsys, "policy", "init", "-") == (0, default_text(), "")


def test_init_writes_no_toml_under_another_name(tmp_path, capsys):
    assert run(capsys, "policy", "init", str(tmp_path / "policy.yaml"))[0] == 2
    assert not list(tmp_path.iterdir())


def test_check_names_line_and_key_and_exits_2(tmp_path, capsys):
    path = tmp_path / "policy.toml"
    path.write_text("[parameters.top_p]\nmax = nan\n")
    status, _, err = run(capsys, "policy", "check", str(path))
    assert status == 2
    assert f"{path}:2: parameters.top_p.max: " in err


def test_check_opens_the_files_that_a_policy_names(tmp_path, capsys):
    path = tmp_path / "policy.toml"
    path.write_text('profile = "profile.json"\n')
    assert run(capsys, "policy", "check", str(path))[0] == 2
    (tmp_path / "profile.json").write_text(json.dumps(Profile.of([[{"entropy": 1.0}]]).to_json()))
    status, out, _ = run(capsys, "policy", "check", str(path))
    assert status == 0
    assert "a profile of 1 texts" in out


def test_show_tells_the_effective_policy(tmp_path, capsys):
    path = tmp_path / "policy.yaml"
    path.write_text("parameters: {top_k: {max: 60, action: clamp}}\n")
    status, out, _ = run(capsys, "policy", "show", str(path))
    assert status == 0
    assert next(line.split() for line in out.splitlines() if line.startswith("top_k")) == ["top_k", "0", "60", "50", "clamp"]
    shown = json.loads(run(capsys, "policy", "show", "--json")[1])
    assert shown["parameters"]["temperature"] == {"min": 0.0, "max": 2.0, "default": 1.0, "action": "reject"}


def test_a_profile_is_made_of_statistics_and_of_profiles(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps = [[{"token": 3, "entropy": 1.0 + n, "skewness": None}] * 3 for n in range(60)]
    (tmp_path / "one.json").write_text(json.dumps({"model": "tiny", "seed": 1, "steps": steps}))
    status, out, _ = run(capsys, "policy", "profile", "one.json")
    assert (status, out) == (0, "wrote profile.json: 60 texts of tiny; an alarm at 0.01 takes at least 99\n")
    status, out, _ = run(capsys, "policy", "profile", "one.json", "profile.json", "--output", "both.json")
    assert (status, out) == (0, "wrote both.json: 120 texts of tiny\n")
    assert load_profile(tmp_path / "both.json").steps["entropy"].count == 360


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"model": "m", "steps": 3}', '{"model": "m", "steps": [[{"entropy": "x"}]]}', '{"model": "m", "steps": [[1]]}'],
)
def test_a_profile_of_something_else_is_a_usage_error(tmp_path, capsys, text):
    (tmp_path / "one.json").write_text(text)
    status, _, err = run(capsys, "policy", "profile", str(tmp_path / "one.json"), "--output", str(tmp_path / "profile.json"))
    assert status == 2
    assert "one.json: expected" in err


def test_fuzzing_the_validators_of_a_policy_finds_nothing(tmp_path, capsys):
    path = tmp_path / "policy.toml"
    path.write_text('[parameters.temperature]\nmax = 1.5\naction = "clamp"\n')
    words = ("fuzz", "validators", "--policy", str(path), "--seed", "7", "--max-cases", "300", "--max-time", "600", "--json")
    status, out, _ = run(capsys, *words)
    report = json.loads(out)
    assert (status, report["status"], report["findings"], report["seed"]) == (0, 0, [], 7)
    assert report["cases"] > 4000
    assert "temperature" in report["validators"]


def test_the_time_that_a_projects_file_gives_holds_for_validators(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = []

    def fuzz_policy(file, *, seconds, **options):
        asked.append(seconds)
        return 0

    monkeypatch.setattr("samplerfuzz.cli.validators.fuzz_policy", fuzz_policy)
    assert run(capsys, "fuzz", "validators")[0] == 0
    (tmp_path / "samplerfuzz.toml").write_text("max_time = 33.0\n")
    assert run(capsys, "fuzz", "validators")[0] == 0
    assert run(capsys, "fuzz", "validators", "--max-time", "5")[0] == 0
    assert asked == [10.0, 33.0, 5.0]


def test_a_finding_is_printed_with_its_configuration_and_exits_1(capsys, monkeypatch):
    monkeypatch.setattr("samplerfuzz.safety.bounds.Bound.holds", lambda self, value: not (value < self.minimum or value > self.maximum))
    status, out, _ = run(capsys, "fuzz", "validators", "--seed", "1", "--max-cases", "1")
    assert status == 1
    assert "policy.decide breaks nothing_outside_passes" in out
    assert '{"temperature": "NaN"}' in out


def test_a_run_on_validators_leaves_a_report_and_programs_that_show_its_findings(tmp_path, capsys, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr("samplerfuzz.safety.bounds.Bound.holds", lambda self, value: not (value < self.minimum or value > self.maximum))
        words = ("fuzz", "validators", "--seed", "1", "--max-cases", "1", "--max-time", "600", "--report-dir", str(tmp_path / "run"))
        status, out, _ = run(capsys, *words)
        assert (status, f"report in {tmp_path / 'run'}" in out) == (1, True)
        report = json.loads((tmp_path / "run" / "report.json").read_text("utf-8"))
        assert (report["format"], report["status"], report["subjects"][0]) == ("samplerfuzz validators 1", 1, "policy.decide")
        nan = [item for item in report["findings"] if item["config"] == {"temperature": "NaN"}]
        assert {item["subject"] for item in nan} >= {"policy.decide"}
        shown = next(tmp_path / "run" / item["reproducer"] for item in nan if item["claim"] == "nothing_outside_passes")
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(shown), run_name="__main__")
        assert ended.value.code is True
        assert "the defect REPRODUCES" in capsys.readouterr().out
    done = subprocess.run([sys.executable, str(shown)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "the claim holds\n"), done.stderr
    suites = {suite.get("name"): suite for suite in ElementTree.parse(tmp_path / "run" / "junit.xml").getroot()}
    assert list(suites) == report["subjects"]
    assert {case.get("name"): case.find("failure") is not None for case in suites["policy.decide"]}["nothing_outside_passes"]
    assert suites["repetition"].get("failures") == "0"
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert all(item["id"] in page for item in report["findings"])
    assert "http" not in page.replace("http-equiv", "")
    assert run(capsys, "report", str(tmp_path / "run"), "--page", str(tmp_path / "all.html"))[0] == 2


def test_the_report_is_what_json_prints_and_a_run_without_findings_has_one(tmp_path, capsys):
    words = ("fuzz", "validators", "--seed", "7", "--max-cases", "20", "--max-time", "600", "--json", "--report-dir", str(tmp_path))
    status, out, _ = run(capsys, *words)
    assert (status, out) == (0, (tmp_path / "report.json").read_text("utf-8"))
    assert "Nothing found." in (tmp_path / "report.html").read_text("utf-8")
    assert ElementTree.parse(tmp_path / "junit.xml").getroot().get("failures") == "0"
    assert not (tmp_path / "findings").exists()
    (tmp_path / "file").write_text("")
    assert run(capsys, "fuzz", "validators", "--max-cases", "1", "--report-dir", str(tmp_path / "file" / "below"))[0] == 2


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 3, -(10**30), 0.1, 5e-324, math.inf, "a'\ud800\n", b"1", Decimal("0.5"), Fraction(1, 2), (), (1,), [[0.5]]),
        *({"5": -math.inf}, np.float32(0.1), np.float64(math.nan), np.float32(-math.inf), np.int64(-1), np.True_),
    ],
    ids=repr,
)
def test_what_was_thrown_is_written_as_python_reads_it(value):
    known = {"np": np, "Decimal": Decimal, "Fraction": Fraction, "inf": math.inf, "nan": math.nan}
    read = eval(python_text(value), known)
    assert type(read) is type(value)
    assert read == value or (read != read and value != value)


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array(0.5), [object()], {"a": range(3)}, 10**5000, np.longdouble(1)], ids=type)
def test_what_python_cannot_write_has_no_program(value):
    assert python_text(value) is None


def test_no_time_at_all_is_nothing_tested(capsys, monkeypatch):
    monkeypatch.setattr(campaign, "observations", lambda: iter(()))
    monkeypatch.setattr(campaign, "single", lambda policy: iter(()))
    monkeypatch.setattr(campaign, "mixtures", lambda policy, rng: iter(()))
    assert run(capsys, "fuzz", "validators")[0] == 3


@pytest.mark.parametrize(
    "words",
    [
        ("validators", "builtin:top_p"),
        ("validators", "--workers", "2"),
        ("validators", "--checks", "support"),
        ("validators", "--policy", "no-such-file.toml"),
        ("builtin:top_p", "--policy", "policy.toml"),
    ],
)
def test_what_means_nothing_to_validators_is_a_usage_error(capsys, words):
    assert run(capsys, "fuzz", *words)[0] == 2
