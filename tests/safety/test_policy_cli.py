"""`samplerfuzz policy`: written, checked and shown; and `samplerfuzz fuzz validators`."""

import json

import pytest

from samplerfuzz.cli.main import main
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
