"""The report directory: what is written, when, and what happens when it cannot be."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from synthetic import case, crossing_token, finding, run_events

from samplerfuzz.core.errors import UsageError
from samplerfuzz.engine.events import Checkpoint, FindingConfirmed, FindingFound, RunFinished, RunStarted, TargetFinished
from samplerfuzz.engine.history import history_of
from samplerfuzz.report import Reporters, reporters
from samplerfuzz.report.events_log import read_events
from samplerfuzz.report.files import write_atomically
from samplerfuzz.report.schema import SCHEMA_FILE, Report, json_schema_text

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def listener(directory: Path, *, as_json: bool = False) -> Reporters:
    return reporters(directory, console=Console(file=io.StringIO(), width=100), quiet=True, as_json=as_json, started=STARTED)


def finished(directory: Path) -> Path:
    poison = finding(
        case(
            [[np.nan, -np.inf]],
            parameters={"top_p": [np.nan], "logit_bias": [{3: 0.1}]},
            history=[[1]],
            prompt_length=[0],
            seeds=[4],
            u=[0.3],
        ),
        id="0123456789",
        check="clean_input_gives_no_nan",
        severity="critical",
        title="bad \x1b[31m <script>alert(1)</script> ]]> & \x00",
        expected={"outcome": "refusal or value"},
        observed={"outcome": "NaN row", "probabilities": [float("nan"), 0.5], "values": ["nan"]},
        statistic={"log_e": float("inf")},
    )
    with listener(directory) as report:
        for event in run_events(crossing_token(), poison):
            report(event)
    return directory


def test_every_file_is_there(tmp_path: Path) -> None:
    directory = finished(tmp_path / "a" / "b")
    names = {p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.is_file()}
    reports = {"events.jsonl", "report.json", "report.html", "junit.xml", "sarif.json"}
    assert names == reports | {
        "findings/ab12cd34ef.py",
        "findings/0123456789.py",
        "cases/ab12cd34ef.json",
        "cases/0123456789.json",
    }


def test_report_json_is_strict_and_of_the_schema(tmp_path: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    text = (finished(tmp_path) / "report.json").read_text()
    data = json.loads(text, parse_constant=refuse)
    report = Report.model_validate(data, strict=True)
    assert (data["schema_version"], data["seed"], data["status"], data["started"]) == (1, 7, 1, "2026-01-02T03:04:05+00:00")
    assert [f.id for f in report.findings] == ["0123456789", "ab12cd34ef"], "the most severe first"
    for entry in report.findings:
        assert entry.reproducer is not None
        assert (tmp_path / entry.reproducer).is_file()
    assert data["findings"][0]["case"]["logits"] == [["nan", "-inf"]]
    assert data["targets"][0]["pairs_per_second"] == 617.0


def test_the_committed_schema_is_the_one_of_the_types() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == json_schema_text()


def test_a_case_file_gives_the_case_back(tmp_path: Path) -> None:
    data = json.loads((finished(tmp_path) / "cases" / "ab12cd34ef.json").read_text())
    again = type(crossing_token().case).from_json(data)
    assert again.logits.tobytes() == crossing_token().case.logits.tobytes()


def test_a_killed_run_has_its_events_and_reproducers(tmp_path: Path) -> None:
    report = listener(tmp_path)
    events = run_events(crossing_token())
    for event in events[:4]:
        report(event)
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["RunStarted", "TargetStarted", "FindingFound"]
    assert lines[2]["finding"]["id"] == "ab12cd34ef"
    assert (tmp_path / "findings" / "ab12cd34ef.py").is_file()
    report.close()


def test_json_goes_to_stdout_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listener(tmp_path, as_json=True) as report:
        for event in run_events(crossing_token()):
            report(event)
    out, err = capsys.readouterr()
    assert out == (tmp_path / "report.json").read_text()
    assert err == ""


def test_junit_has_a_case_a_check(tmp_path: Path) -> None:
    root = ET.parse(finished(tmp_path) / "junit.xml").getroot()
    assert (root.get("tests"), root.get("failures")) == ("4", "2")
    failure = root.find(".//testcase[@name='clean_input_gives_no_nan']/failure")
    assert failure is not None
    assert failure.get("message") == "bad \\x1b[31m <script>alert(1)</script> ]]> & \\x00"
    assert root.find(".//testcase[@name='draw_frequencies_match']/skipped") is not None


def test_sarif_has_a_rule_a_check(tmp_path: Path) -> None:
    run = json.loads((finished(tmp_path) / "sarif.json").read_text())["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["clean_input_gives_no_nan", "kept_token_has_probability"]
    assert [run["tool"]["driver"]["rules"][r["ruleIndex"]]["id"] == r["ruleId"] for r in run["results"]] == [True, True]
    assert run["invocations"][0]["startTimeUtc"] == "2026-01-02T03:04:05Z"
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "samplers.py"


def test_a_directory_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write .*file.*--report-dir"):
        listener(tmp_path / "file" / "run")


def test_a_full_disk_is_a_usage_error_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "report.json", "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UsageError, match="No space left on device"):
        write_atomically(tmp_path / "report.json", "new")
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]
    assert (tmp_path / "report.json").read_text() == "old"


def test_a_finding_that_an_interrupt_kept_from_being_told_is_written_and_shown(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=100)
    events = [e for e in run_events(crossing_token()) if not isinstance(e, FindingFound)]
    with reporters(tmp_path, console=console, quiet=True, as_json=False, started=STARTED) as report:
        for event in events:
            report(event)
    assert (tmp_path / "findings" / "ab12cd34ef.py").is_file()
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("ab12cd34ef ") == 1


def test_an_interrupt_while_a_report_is_written_leaves_no_half_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(descriptor: int) -> None:
        raise KeyboardInterrupt

    events = run_events(crossing_token())
    with listener(tmp_path) as report:
        for event in events[:-1]:
            report(event)
        monkeypatch.setattr("os.fsync", stop)
        with pytest.raises(KeyboardInterrupt):
            report(events[-1])
    assert {p.name for p in tmp_path.iterdir()} == {"events.jsonl", "findings", "cases"}
    past = history_of(read_events(tmp_path / "events.jsonl"))
    assert past is not None
    assert past.finished is None, "the next process writes the reports"


@pytest.mark.parametrize("as_json", [False, True])
def test_a_disk_that_fills_up_keeps_no_finding_from_being_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    console = Console(file=io.StringIO(), width=100)
    started, target_started, *_ = run_events()
    report = reporters(tmp_path, console=console, quiet=True, as_json=as_json, started=STARTED)
    report(started)
    report(target_started)
    monkeypatch.setattr("os.write", full)
    with pytest.raises(UsageError, match=r"events\.jsonl.*No space left on device"), report:
        report(FindingConfirmed(finding=crossing_token()))
    if as_json:
        data = json.loads(capsys.readouterr().out)
        assert ([f["id"] for f in data["findings"]], data["status"], data["reason"]) == (["ab12cd34ef"], 130, "the run did not end")
    else:
        assert isinstance(console.file, io.StringIO)
        shown = console.file.getvalue()
        assert "ab12cd34ef" in shown
        assert "reproduce" not in shown, "there is no such file"
        assert "stopped before the end · 1 finding so far" in shown


def test_a_resumed_run_is_reported_as_one(tmp_path: Path) -> None:
    found = crossing_token()
    started, *events = run_events(found)
    assert isinstance(started, RunStarted)
    with listener(tmp_path) as report:
        for event in [started, *(e for e in events if not isinstance(e, TargetFinished | RunFinished))]:
            report(event)
    for file in (tmp_path / "findings").iterdir():
        file.unlink()
    past = history_of(read_events(tmp_path / "events.jsonl"))
    done, end = events[-2:]
    assert isinstance(done, TargetFinished)
    console = Console(file=io.StringIO(), width=100)
    with reporters(tmp_path, console=console, quiet=True, as_json=False, started=STARTED, past=past) as report:
        for event in [replace(started, times_resumed=1), events[0], replace(done, findings=()), end]:
            report(event)
    data = json.loads((tmp_path / "report.json").read_text())
    assert [(f["id"], f["reproducer"]) for f in data["findings"]] == [(found.id, f"findings/{found.id}.py")]
    assert (tmp_path / "findings" / f"{found.id}.py").is_file(), "what the kill kept from being written is written"
    assert data["settings"]["times_resumed"] == 1
    assert [line["event"] for line in map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines())].count("FindingFound") == 1
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("reproduce") == 1


def test_an_unfinished_target_is_reported_as_far_as_it_came(tmp_path: Path) -> None:
    started, target_started, *_, end = run_events()
    checkpoint = Checkpoint(
        target="samplers.py:mine",
        seconds=2.0,
        calls=3,
        pairs=8,
        draws=0,
        outcomes={"pass": 8},
        checks={"call_returns": 8},
        covered={"normal": 8},
        repeats={},
        swept=0,
    )
    with listener(tmp_path) as report:
        for event in (started, target_started, checkpoint, end):
            report(event)
    (entry,) = json.loads((tmp_path / "report.json").read_text())["targets"]
    assert (entry["complete"], entry["pairs"], entry["pairs_per_second"]) == (False, 8, 4.0)
    assert (entry["outcomes"], entry["checks"], entry["covered"]) == ({"pass": 8}, {"call_returns": 8}, {"normal": 8})
