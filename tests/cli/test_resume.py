"""`samplerfuzz fuzz` killed, interrupted or out of disk: what was found is there, and the same command goes on."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import samplerfuzz
from samplerfuzz.cli import main as cli
from samplerfuzz.engine.events import Checkpoint
from samplerfuzz.engine.history import history_of
from samplerfuzz.report.events_log import read_events

SOURCE = """
import time
import numpy as np
import samplerfuzz as sf

@sf.target(order=["top_k"], returns="logits")
def right(logits, top_k, more=0):
    time.sleep(0.001)
    if not (logits < np.inf).all() or not (logits > -np.inf).any(-1).all():
        raise ValueError
    k = logits.shape[1] if top_k <= 0 else min(int(top_k) + more, logits.shape[1])
    return np.where(logits >= np.sort(logits, -1)[:, -k, None], logits, -np.inf)

@sf.target(order=["top_k"], returns="logits")
def wrong(logits, top_k):
    return right(logits, top_k, more=1)
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(samplerfuzz.__file__)), "NO_COLOR": "1"}


@pytest.fixture(autouse=True)
def samplers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "samplers.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "others.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path


def command(*arguments, cases=300):
    return ["fuzz", *arguments, "--report-dir", "run", "--no-model", "--max-cases", str(cases), "--checks", "support,contract"]


def start(arguments, before=""):
    """Start samplerfuzz in a process of its own that first executes the statement `before`."""
    line = [sys.executable, "-c", f"import sys; from samplerfuzz.cli.main import main; {before}\nmain(sys.argv[1:])", *arguments]
    return subprocess.Popen(line, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def here(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


def lines():
    try:
        with open("run/events.jsonl", "rb") as file:
            return file.read().splitlines(keepends=True)
    except FileNotFoundError:
        return []


def recorded():
    return list(read_events(Path("run/events.jsonl")))


def wait_for(process, condition):
    while process.poll() is None and not condition():
        time.sleep(0.005)


def report():
    with open("run/report.json", encoding="utf-8") as file:
        return json.load(file)


def kill_at(kinds, capsys, *arguments):
    """Leave what a run killed right after its last event of one of `kinds` leaves; the run itself goes on to its end."""
    code, _, err = here(capsys, *arguments)
    assert code in (0, 1), err
    last = max(i for i, line in enumerate(lines()) if json.loads(line)["event"] in kinds)
    kept = lines()[: last + 1]
    with open("run/events.jsonl", "wb") as file:
        file.writelines(kept)
    return kept


def test_kill_9_at_any_moment_loses_nothing():
    moments = random.Random()
    known, counts, killed = {}, {}, 0
    for process in (start(command("samplers.py:wrong", "samplers.py:right", cases=3000)) for _ in itertools.count()):
        more = len(lines()) + moments.randrange(2, 7)
        wait_for(process, lambda more=more: len(lines()) >= more)
        if killed == 3 or process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        past = history_of(recorded())
        if past.finished is not None:  # on a fast machine the kill can come after the end, when the reports are written
            break
        killed += 1
        known |= {f.id: f.case.to_json() for t in past.by_target.values() for f in t.findings}
        counts |= {name: t.checkpoint for name, t in past.by_target.items() if t.checkpoint}
    if process.returncode != -signal.SIGKILL:
        out, err = process.communicate()
        assert process.returncode == 1, err
        assert all(name in out for name in known), "what was found before is shown again"
    ended = report()
    assert ended["settings"].get("times_resumed", 0) == killed
    found = {f["id"]: f["case"] for f in ended["findings"]}
    assert known.items() <= found.items()
    for target in ended["targets"]:
        assert target["complete"]
        assert target["pairs"] >= 1500
        last = counts.get(target["target"])
        if last is not None:
            assert (target["calls"], target["pairs"]) >= (last.calls, last.pairs)
            assert all(target["outcomes"].get(name, 0) >= n for name, n in last.outcomes.items())
            assert all(target["checks"][name] >= n for name, n in last.checks.items())


def test_the_same_command_goes_on(capsys):
    kept = kill_at(["Checkpoint"], capsys, *command("samplers.py:wrong", "--seed", "5"))
    os.remove("run/report.json")
    reproducer = next(f"run/findings/{json.loads(line)['finding']['id']}.py" for line in kept if b'"FindingFound"' in line)
    os.remove(reproducer)
    with open("run/events.jsonl", "ab") as file:
        file.write(b'{"event": "Check')
    code, out, err = here(capsys, *command("samplers.py:wrong"))  # no seed is named: the recorded one holds
    assert (code, err) == (1, "")
    assert "resumed" in out
    assert report()["seed"] == 5
    assert os.path.exists(reproducer)
    last = [e for e in recorded() if isinstance(e, Checkpoint)][-1]
    assert report()["targets"][0]["pairs"] == last.pairs


def test_resume_knows_the_command(capsys):
    kill_at(["Checkpoint"], capsys, *command("samplers.py:wrong", "--seed", "5"))
    code, _, err = here(capsys, "fuzz", "--resume", "run", "--max-time", "60")
    assert (code, err) == (1, "")
    settings = report()["settings"]
    assert (settings["max_time"], settings["max_cases"], settings["model"], settings["times_resumed"]) == (60, 300, False, 1)


def test_an_interrupted_run_says_how_it_goes_on(capsys, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("samplerfuzz.cases.generator.Generator.sweep", interrupted)
        code, out, _ = here(capsys, *command("samplers.py:right"))
    assert code == 130
    assert "go on: samplerfuzz fuzz --resume run\n" in out
    assert report()["status"] == 130
    assert here(capsys, "fuzz", "--resume", "run")[0] == 0


def test_a_finished_run_is_left_alone(capsys):
    assert here(capsys, *command("samplers.py:wrong"))[0] == 1
    before = report()
    for arguments in (command("samplers.py:wrong"), command("samplers.py:right"), ["fuzz", "--resume", "run"]):
        code, out, err = here(capsys, *arguments)
        assert (code, out) == (2, "")
        assert err.startswith("error: run holds a finished run (")
        assert "`samplerfuzz replay run` runs its findings again" in err
        assert "name another --report-dir, or delete that one first" in err
    assert report() == before


@pytest.mark.parametrize(
    ("arguments", "difference"),
    [
        (["others.py:wrong", "--seed", "5"], "targets (only there: samplers.py:wrong; only here: others.py:wrong)"),
        (["samplers.py:wrong", "--seed", "6"], "seed 5 (here 6)"),
        (["samplers.py:wrong", "--exclude-checks", "call_returns"], "checks (only there: call_returns)"),
    ],
)
def test_another_run_is_not_mixed_with_this_one(capsys, arguments, difference):
    kept = kill_at(["Checkpoint"], capsys, *command("samplers.py:wrong", "--seed", "5"))
    code, out, err = here(capsys, *command(*arguments))
    assert (code, out) == (2, "")
    assert f"another one: {difference}; `samplerfuzz fuzz --resume run` goes on with it" in err
    assert lines() == kept


@pytest.mark.parametrize("arguments", [command("samplers.py:wrong"), ["fuzz", "--resume", "run"]], ids=["same command", "--resume"])
def test_code_that_has_changed_does_not_go_on(capsys, arguments):
    kept = kill_at(["Checkpoint"], capsys, *command("samplers.py:wrong"))
    Path("samplers.py").write_text(SOURCE + "# repaired\n", encoding="utf-8")
    code, out, err = here(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: samplers.py:wrong has changed since the unfinished run in run began; `samplerfuzz replay run` says")
    assert lines() == kept


def test_another_version_does_not_go_on(capsys, monkeypatch):
    kill_at(["Checkpoint"], capsys, *command("samplers.py:wrong"))
    version = samplerfuzz.__version__
    monkeypatch.setattr("samplerfuzz.__version__", "99.0")
    assert f"samplerfuzz {version} (here 99.0)" in here(capsys, "fuzz", "--resume", "run")[2]


def test_a_damaged_line_is_named(capsys):
    kept = kill_at(["Checkpoint"], capsys, *command("samplers.py:wrong"))
    with open("run/events.jsonl", "wb") as file:
        file.writelines([kept[0], kept[1][:-9] + b"\n", *kept[2:]])
    code, out, err = here(capsys, *command("samplers.py:wrong"))
    assert (code, out) == (2, "")
    assert "run/events.jsonl:2: no event of a run" in err


def test_nothing_to_resume(capsys):
    assert "nowhere holds no run to resume" in here(capsys, "fuzz", "--resume", "nowhere")[2]
    assert not os.path.exists("nowhere")
    assert "leave out --report-dir" in here(capsys, "fuzz", "--resume", "a", "--report-dir", "b")[2]


def test_two_runs_of_one_second_have_two_directories(samplers):
    from datetime import UTC, datetime

    from samplerfuzz.cli.resuming import new_directory

    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    names = []
    for _ in range(3):
        names.append(new_directory(moment))
        names[-1].mkdir(parents=True)
    assert [name.as_posix() for name in names] == ["reports/20260102-030405", "reports/20260102-030405-2", "reports/20260102-030405-3"]


def test_ctrl_c_leaves_complete_reports():
    process = start(command("samplers.py:wrong", cases=10**6))
    wait_for(process, lambda: any(b'"FindingConfirmed"' in line for line in lines()))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, err) == (130, "")
    ended = report()
    assert ended["status"] == 130
    assert ended["findings"]
    for finding in ended["findings"]:
        assert finding["id"] in out
        assert os.path.exists(f"run/{finding['reproducer']}")
        assert os.path.exists(f"run/cases/{finding['id']}.json")
    assert {"report.html", "junit.xml", "sarif.json"} <= set(os.listdir("run"))


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on the size of a file here")
@pytest.mark.parametrize("as_json", [False, True])
def test_a_full_disk_ends_with_a_message_and_what_was_found(as_json):
    no_file_beyond_12000_bytes = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (12000, 12000))"
    options = ["--json"] if as_json else []
    process = start(command("samplers.py:wrong", *options, cases=10**6), before=no_file_beyond_12000_bytes)
    out, err = process.communicate()
    assert process.returncode == 2, err
    assert "error: cannot write 'run/events.jsonl': File too large; make room and resume the run" in err
    assert "Traceback" not in err
    found = {f.id for f in history_of(recorded()).findings}
    assert found
    assert found <= {f["id"] for f in json.loads(out)["findings"]} if as_json else all(name in out for name in found)
    if not as_json:
        assert "go on: samplerfuzz fuzz --resume run\n" in out


def test_standard_output_that_is_full_is_told():
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "samplerfuzz", *command("samplers.py:right")],
            env=ENVIRONMENT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot write to standard output: No space left on device")
    assert len(done.stderr.splitlines()) == 1
