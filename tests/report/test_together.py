"""One page of a run, a probe and a guard's log says what each of them says, and shows nothing unescaped."""

import json

import pytest
from click.testing import CliRunner

from samplerfuzz.cli.main import group
from samplerfuzz.core.errors import UsageError
from samplerfuzz.report.guard_log import read_guard_log

HOSTILE = "<script>alert(1)</script>"


def entry(action="accept", **more):
    return {
        "time": 1000.0,
        "path": "/v1/completions",
        "action": action,
        "reason": "policy",
        "status": 200,
        "seconds": 0.1,
        "results": [],
        **more,
    }


def written(file, *entries, torn=""):
    file.write_text("".join(json.dumps(line) + "\n" for line in entries) + torn, "utf-8")
    return file


@pytest.fixture
def log(tmp_path):
    noticed = [{"validator": HOSTILE, "severity": "medium", "parameter": "temperature", "evidence": {"value": 5}}]
    return written(
        tmp_path / "audit.jsonl",
        entry(),
        entry("reject", time=1010.0, status=400, reason="malformed:" + HOSTILE, failure="broken off"),
        entry("clamp", time=1020.0, results=noticed, seconds=0.3),
        torn='{"time": 10',
    )


def page(*arguments):
    return CliRunner().invoke(group, ["report", *map(str, arguments)], standalone_mode=False)


def test_a_log_is_counted(log):
    read = read_guard_log([log])
    assert dict(read.actions) == {"accept": 1, "reject": 1, "clamp": 1}
    assert dict(read.statuses) == {"200": 2, "400": 1}
    assert read.noticed["temperature", HOSTILE, "medium"] == 1
    assert read.quantiles == (pytest.approx(0.1), pytest.approx(0.296))
    assert read.unread == 1
    edges, counts = read.buckets()
    assert edges[-1] == 20
    assert {action: int(requests.sum()) for action, requests in counts.items()} == {"accept": 1, "clamp": 1, "reject": 1}


def test_an_alarm_of_a_monitor_is_no_decision_and_is_shown(tmp_path, log):
    alarmed = written(tmp_path / "audit.jsonl.1", {"time": 1005.0, "alarm": HOSTILE, "evidence": {}}, {"alarm": "no time"}, [])
    read = read_guard_log([log, alarmed])
    assert read.alarms == [("1970-01-01 00:16:45", HOSTILE)]
    assert read.unread == 3
    out = tmp_path / "all.html"
    assert page(log, alarmed, "--page", out).exception is None
    assert "00:16:45 UTC" in out.read_text("utf-8")
    assert HOSTILE not in out.read_text("utf-8")


def test_rotated_files_are_one_log(tmp_path, log):
    older = written(tmp_path / "audit.jsonl.1", entry(time=900.0))
    assert len(read_guard_log([log, older]).times) == 4


@pytest.mark.parametrize("text", ["", "{}\n", '{"time": "soon", "action": "accept"}\n', '{"time": 1, "action": "guess"}\n', "\xff\n"])
def test_a_file_without_a_decision_is_no_log(tmp_path, text):
    (tmp_path / "other.jsonl").write_text(text, "latin-1")
    with pytest.raises(UsageError, match="found no decision"):
        read_guard_log([tmp_path / "other.jsonl"])


def test_one_page_brings_a_run_and_a_log_together(tmp_path, log):
    file, run, out = tmp_path / "mine.py", tmp_path / "run", tmp_path / "pages" / "all.html"
    out.parent.mkdir()
    file.write_text(
        "import numpy as np\nimport samplerfuzz as sf\n\n@sf.target(order=['temperature'], returns='logits')\n"
        "def mine(logits, temperature):\n    return logits * temperature\n"
    )
    arguments = ["--max-cases", "200", "--seed", "1", "--checks", "distribution,support", "--no-model", "--no-shrink"]
    CliRunner().invoke(group, ["fuzz", f"{file}:mine", *arguments, "--report-dir", str(run)])
    done = page(run, log, "--page", out)
    assert done.exception is None, done.output
    text = out.read_text("utf-8")
    report = json.loads((run / "report.json").read_text("utf-8"))
    assert report["findings"]
    for finding in report["findings"]:
        assert finding["id"] in text
    assert 'href="../run/report.html"' in text
    assert "requests refused" in text
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "either --issue ID"),
        (("--issue", "0123456789", "--page", "x.html"), "either --issue ID"),
        (("--page", "x.html"), "name what goes on the page"),
    ],
)
def test_what_is_wanted_is_said(arguments, words):
    assert words in str(page(*arguments).exception)


def test_a_directory_of_nothing_is_refused(tmp_path):
    assert "expected a run's directory" in str(page(tmp_path, "--page", tmp_path / "x.html").exception)
    (tmp_path / "report.json").write_text("{}")
    assert "entries are wrong" in str(page(tmp_path, "--page", tmp_path / "x.html").exception)


def test_a_page_that_cannot_be_written_is_said(tmp_path, log):
    assert "cannot be written" in str(page(log, "--page", tmp_path / "no" / "x.html").exception)
