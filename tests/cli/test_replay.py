"""`samplerfuzz replay`: what it takes, what it prints, its exit status."""

import json
import os
import re

import pytest

from samplerfuzz.cli import main as cli

SAMPLERS = """
import numpy as np

def keep(logits, top_k, more):
    if not (logits < np.inf).all() or not (logits > -np.inf).any(-1).all():
        raise ValueError
    k = logits.shape[1] if top_k <= 0 else min(int(top_k) + more, logits.shape[1])
    return np.where(logits >= np.sort(logits, -1)[:, -k, None], logits, -np.inf)

def one(logits, top_k):
    return keep(logits, top_k, ONE)

def other(logits, top_k):
    return keep(logits, top_k, OTHER)
"""


def write(one, other):
    with open("samplers.py", "w", encoding="utf-8") as file:
        file.write(SAMPLERS.replace("ONE", str(one)).replace("OTHER", str(other)))


def here(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


def fuzz(capsys, directory, *targets):
    options = ["--no-model", "--max-cases", "200", "--checks", "removed_token_has_no_probability", "--report-dir", directory]
    assert here(capsys, "fuzz", *targets, *options)[0] == 1
    with open(f"{directory}/report.json", encoding="utf-8") as file:
        return [f["id"] for f in json.load(file)["findings"]]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return the ids of the findings of reports/run, the newest of two runs."""
    monkeypatch.chdir(tmp_path)
    write(1, 1)
    fuzz(capsys, "reports/older", "samplers.py:one")
    for name in os.listdir("reports/older"):
        os.utime(f"reports/older/{name}", (1, 1))
    return fuzz(capsys, "reports/run", "samplers.py:one", "samplers.py:other")


def statuses(out):
    return re.findall(r"^(FIXED|FAILED|ERROR) ", out, flags=re.MULTILINE)


def test_nothing_named_is_the_newest_run(capsys, run):
    code, out, err = here(capsys, "replay")
    assert (code, err) == (1, "")
    assert statuses(out) == ["FAILED"] * len(run)
    assert out.endswith(f"{len(run)} findings of reports/run: {len(run)} FAILED\n")
    first = out.splitlines()[0]
    assert re.fullmatch(rf"FAILED  {run[0]}  removed_token_has_no_probability  samplers\.py:(one|other)", first)


@pytest.mark.parametrize(
    ("one", "other", "code", "seen"),
    [(0, 0, 0, {"FIXED"}), (0, 1, 1, {"FIXED", "FAILED"}), (1, 1, 1, {"FAILED"})],
)
def test_the_status_is_that_of_the_worst(capsys, run, one, other, code, seen):
    write(one, other)
    got, out, _ = here(capsys, "replay", "reports/run")
    assert (got, set(statuses(out))) == (code, seen)


def test_a_target_that_is_gone_is_an_error(capsys, run):
    os.rename("samplers.py", "elsewhere.py")
    code, out, _ = here(capsys, "replay")
    assert (code, set(statuses(out))) == (2, {"ERROR"})
    assert "target file 'samplers.py' does not exist" in out


def test_one_failed_among_errors_is_a_failure(capsys, run):
    write(1, 1)
    with open("samplers.py", "a", encoding="utf-8") as file:
        file.write("del other\n")
    code, out, _ = here(capsys, "replay")
    assert (code, set(statuses(out))) == (1, {"ERROR", "FAILED"})


@pytest.mark.parametrize("what", ["reports/run", "reports/run/report.json", "{id}", "reports/run/cases/{id}.json", "copied.json"])
def test_an_id_a_file_and_a_directory_are_taken(capsys, run, what):
    with open(f"reports/run/cases/{run[0]}.json", encoding="utf-8") as case, open("copied.json", "w", encoding="utf-8") as copy:
        copy.write(case.read())
    code, out, err = here(capsys, "replay", what.format(id=run[0]))
    assert (code, err) == (1, "")
    assert statuses(out) == ["FAILED"] * (1 if "{id}" in what or what == "copied.json" else len(run))
    assert run[0] in out


def test_a_killed_run_is_replayed_from_its_events(capsys, run):
    os.remove("reports/run/report.json")
    assert len(statuses(here(capsys, "replay", "reports/run")[1])) == len(run)


def test_a_report_without_its_events_is_enough(capsys, run):
    os.remove("reports/run/events.jsonl")
    assert len(statuses(here(capsys, "replay", "reports/run")[1])) == len(run)


def test_json_says_the_same(capsys, run):
    write(0, 1)
    code, out, err = here(capsys, "replay", "--json")
    data = json.loads(out)
    assert (code, err, data["source"]) == (1, "", "reports/run")
    assert {item["id"] for item in data["replays"]} == set(run)
    assert {(item["target"], item["status"]) for item in data["replays"]} == {("samplers.py:one", "FIXED"), ("samplers.py:other", "FAILED")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["0000000000"], "no finding '0000000000' in reports/run, the newest run; findings there: "),
        (["nowhere"], "'nowhere' is no file, no directory and no id of a finding"),
        (["samplers.py"], "'samplers.py' is no report.json and no case file of samplerfuzz"),
        (["reports"], "'reports' holds neither events.jsonl nor report.json"),
        (["bare.json"], "'bare.json' is no report.json and no case file of samplerfuzz (a case without its finding)"),
        (["reports/run/sarif.json"], "is no report.json"),
    ],
)
def test_what_is_nothing_to_replay_is_explained(capsys, run, arguments, message):
    with open("bare.json", "w", encoding="utf-8") as file:
        file.write('{"logits": [[0.0]]}')
    code, out, err = here(capsys, "replay", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err


def test_without_any_run_the_next_step_is_named(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert here(capsys, "replay") == (2, "", "error: no run under 'reports'; name a report directory, a report.json or a case file\n")
