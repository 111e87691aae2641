"""Settings of a project: file below profile below command line; what is wrong in them is named."""

import json
from pathlib import Path

import pytest

from samplerfuzz.cli import main as cli
from samplerfuzz.cli.configuration import configuration

SAMPLER = """
def sample(logits, temperature):
    if not 0 < temperature < float("inf"):
        raise ValueError
    return logits / temperature
"""
FILE = """
targets = ["samplers.py:sample"]
profile = "short"
no-model = true
checks = ["support", "contract"]
max-cases = 900

[profiles.short]
max-cases = 100
seed = 5

[profiles.nightly]
max-time = 7200
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("samplers.py").write_text(SAMPLER, encoding="utf-8")


def here(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


@pytest.mark.parametrize("name", ["samplerfuzz.toml", "pyproject.toml"])
def test_file_profile_and_command_line(capsys, name):
    text = FILE if name == "samplerfuzz.toml" else "[tool.samplerfuzz]" + FILE.replace("[profiles", "[tool.samplerfuzz.profiles")
    Path(name).write_text(text, encoding="utf-8")
    code, out, err = here(capsys, "fuzz", "--json", "--seed", "6", "--report-dir", "run")
    assert code in (0, 1), err
    report = json.loads(out)
    assert [t["target"] for t in report["targets"]] == ["samplers.py:sample"]
    settings = report["settings"]
    assert (settings["max_cases"], settings["seed"], settings["model"]) == (100, 6, False)
    assert settings["max_time"] == 75.0


def test_a_profile_changes_the_built_in_one():
    Path("samplerfuzz.toml").write_text(FILE, encoding="utf-8")
    found = configuration(["max_time", "max_cases", "checks", "no_model", "fail_on", "seed"])
    assert found.defaults("nightly") == {
        "targets": ["samplers.py:sample"],
        "no_model": True,
        "checks": "support,contract",
        "max_cases": 900,
        "max_time": 7200,
        "fail_on": "low",
    }


def test_no_file_is_no_configuration():
    assert configuration(["max_time"]).defaults(None) == {}
    assert configuration(["max_time"]).defaults("dev") == {"max_time": 20.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max-tiem = 3", "unknown setting 'max-tiem'; did you mean 'max-time'?"),
        ("[profiles.ci]\nsede = 3", "unknown setting 'profiles.ci.sede'; did you mean 'seed'?"),
        ("max-time = nan", "max-time"),
        ('max-time = "soon"', "max-time"),
        ('fail-on = "never"', "fail-on"),
        ('targets = "samplers.py:sample"', "targets is a list of texts"),
        ('profile = "weekly"', "no profile 'weekly'; known: dev, ci, nightly"),
        ("max-time = ", "is no TOML"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(capsys, text, message):
    Path("samplerfuzz.toml").write_text(text, encoding="utf-8")
    code, _, err = here(capsys, "fuzz", "samplers.py:sample", "--report-dir", "run")
    assert code == 2
    assert message in err
    assert not Path("run").exists()


@pytest.mark.parametrize("first", [True, False])
def test_another_file_is_named(capsys, first):
    Path("samplerfuzz.toml").write_text("seed = 1", encoding="utf-8")
    Path("night.toml").write_text(FILE, encoding="utf-8")
    chosen = [["--config", "night.toml"], ["--profile", "short"]]
    given = [word for words in (chosen if first else reversed(chosen)) for word in words]
    report = json.loads(here(capsys, "fuzz", *given, "--json", "--report-dir", "run")[1])
    assert (report["settings"]["seed"], report["settings"]["max_cases"]) == (5, 100)


def test_two_files_are_one_too_many(capsys):
    Path("samplerfuzz.toml").write_text("", encoding="utf-8")
    Path("pyproject.toml").write_text("[tool.samplerfuzz]\n", encoding="utf-8")
    assert "configured twice" in here(capsys, "fuzz")[2]


def test_init_writes_what_fuzz_reads_and_overwrites_nothing(capsys):
    assert here(capsys, "init", "--target", "samplers.py:sample")[0] == 0
    assert configuration(["max_time", "fail_on"]).options["targets"] == ["samplers.py:sample"]
    workflow = Path(".github/workflows/samplerfuzz.yml").read_text(encoding="utf-8")
    assert "samplerfuzz fuzz --profile" in workflow
    Path("samplerfuzz.toml").write_text("# mine", encoding="utf-8")
    code, _, err = here(capsys, "init")
    assert code == 2
    assert "--force overwrites" in err
    assert Path("samplerfuzz.toml").read_text(encoding="utf-8") == "# mine"
    assert "names no target" in here(capsys, "init", "--target", "sample", "--force")[2]


def test_doctor_tries_everything(capsys, monkeypatch):
    from samplerfuzz.cli import doctor

    code, out, _ = here(capsys, "doctor", "--json")
    assert code == 0
    assert [r["works"] for r in json.loads(out)["results"]] == [True] * len(doctor.ATTEMPTS)
    monkeypatch.setitem(doctor.ATTEMPTS, "cache", lambda: (_ for _ in ()).throw(OSError("read-only")))
    for name in ("samplers", "worker", "model"):
        monkeypatch.delitem(doctor.ATTEMPTS, name)
    code, out, _ = here(capsys, "doctor")
    assert code == 1
    assert out.endswith("does not work: cache\n")
    assert "OSError: read-only" in out
