"""events.jsonl gives back what was written to it, whatever a kill or a full disk left of its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from synthetic import case, crossing_token, finding, run_events

from samplerfuzz.checks.finding import Finding
from samplerfuzz.core.errors import UsageError
from samplerfuzz.engine.events import BudgetReserved, Checkpoint, Event, FindingConfirmed, Progress, Recorded, RunStarted
from samplerfuzz.report.event_lines import event_from_json, event_from_line, event_json, event_line
from samplerfuzz.report.events_log import EventsLog, read_events

EVERY_INPUT = finding(
    case(
        [[np.nan, -np.inf, 0.1]],
        parameters={"top_p": [1e-8], "temperature": [np.inf], "logit_bias": [{2: -0.3}]},
        history=[[1, -5]],
        prompt_length=[1],
        seeds=[2**40],
        u=[1 - 2.0**-53],
    ),
    expected={"outcome": "refusal or value", "low": [0.1, float("nan")]},
    observed={"outcome": "raised", "message": "inf", "probabilities": [[float("-inf")]]},
    statistic={"log_e": float("inf"), "n": 3.0},
)
CHECKPOINT = Checkpoint(
    target="samplers.py:mine",
    seconds=1.5,
    calls=3,
    pairs=4,
    draws=0,
    outcomes={"pass": 4},
    checks={"call_returns": 4},
    covered={"normal": 4},
    repeats={"ab12cd34ef": 2},
    swept=1,
)
EVENTS = [*run_events(EVERY_INPUT), CHECKPOINT, BudgetReserved(tests=16), FindingConfirmed(finding=EVERY_INPUT)]


def log_of(directory: Path, *events: Event) -> Path:
    log = EventsLog(directory / "events.jsonl")
    for event in events:
        log(event)
    log.close()
    return log.path


@pytest.mark.parametrize("kind", get_args(Recorded), ids=lambda kind: kind.__name__)
def test_every_event_comes_back_from_its_line(kind: type) -> None:
    (event,) = {type(e).__name__: e for e in EVENTS if isinstance(e, kind)}.values()
    again = event_from_line(event_line(event).encode())
    assert type(again) is kind
    assert event_line(again) == event_line(event)


def test_a_finding_comes_back_with_every_bit() -> None:
    again = Finding.from_json(EVERY_INPUT.to_json())
    assert repr(again.to_json()) == repr(EVERY_INPUT.to_json())
    assert again.case.logits.dtype == np.float32
    assert again.violation.observed["message"] == "inf", "a target's text stays text"
    from_file = Finding.from_json(json.loads(event_line(FindingConfirmed(finding=EVERY_INPUT)))["finding"])
    assert repr(from_file.to_json()) == repr(EVERY_INPUT.to_json())


def test_a_finding_of_an_older_run_is_read() -> None:
    old = EVERY_INPUT.to_json()
    del old["stateful"], old["case"]["steps"]
    again = Finding.from_json(old)
    assert (again.stateful, again.case.steps, again.case.digest()) == (False, None, EVERY_INPUT.case.digest())
    line = json.loads(event_line(FindingConfirmed(finding=EVERY_INPUT)))
    line["finding"] = old
    read = event_from_line(json.dumps(line))
    assert isinstance(read, FindingConfirmed)
    assert repr(read.finding.to_json()) == repr(EVERY_INPUT.to_json())


def test_a_run_started_before_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = log_of(tmp_path, *EVENTS)
    kept = [e for e in EVENTS if not isinstance(e, Progress)]
    assert [event_line(e) for e in read_events(path)] == [event_line(e) for e in kept]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "Expecting value"),
        (b'{"event": "Checkpoint", "targ', "Invalid control character"),
        (b"\xff\xfe", "decode"),
        (b'{"event": "Nonsense"}', "expected one of RunStarted"),
        (b'["RunStarted"]', "expected one of RunStarted"),
        (b'{"event": "BudgetReserved"}', "BudgetReserved.tests: Field required"),
        (b'{"event": "BudgetReserved", "tests": "many"}', "valid integer"),
        (b'{"event": "BudgetReserved", "tests": 1, "more": 2}', "BudgetReserved.more"),
        (b'{"event": "FindingFound", "finding": 3}', "FindingFound.finding"),
        (b'{"event": "FindingFound", "finding": {"id": "x"}}', "FindingFound.finding"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes, reason: str) -> None:
    path = log_of(tmp_path, EVENTS[0])
    path.write_bytes(path.read_bytes() + line + b"\n" + event_line(CHECKPOINT).encode())
    with pytest.raises(UsageError, match=rf"events\.jsonl:2: no event of a run \(.*{reason}.*\); .*--report-dir") as raised:
        list(read_events(path))
    assert "\n" not in str(raised.value)


def test_a_torn_last_line_is_no_damage_at_any_length(tmp_path: Path) -> None:
    path = log_of(tmp_path, EVENTS[0])
    whole, line = path.read_bytes(), event_line(FindingConfirmed(finding=crossing_token())).encode()
    for length in (*range(1, len(line), 37), len(line) - 1):
        path.write_bytes(whole + line[:length])
        read = list(read_events(path))
        log = EventsLog(path)
        assert len(list(log.events())) == len(read)
        log(CHECKPOINT)
        log.close()
        after = [event_line(e) for e in read_events(path)]
        assert after == [event_line(e) for e in [*read, CHECKPOINT]]
        assert len(read) == 1 + (length == len(line) - 1), "a line that lacks only its end is whole"


def test_what_an_error_leaves_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventsLog(tmp_path / "events.jsonl")
    log(EVENTS[0])
    before = log.path.read_bytes()
    real, calls = os.write, []

    def half(descriptor: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[: len(data) // 2])

    monkeypatch.setattr("os.write", half)
    with pytest.raises(UsageError, match=r"cannot write .*events\.jsonl.*No space left on device; make room and resume the run"):
        log(CHECKPOINT)
    monkeypatch.undo()
    assert log.path.read_bytes() == before
    log(CHECKPOINT)
    log.close()
    assert len(list(read_events(log.path))) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here: another test writes to a disk that says no")
def test_a_device_that_is_full_is_neither_read_nor_cut(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    log = EventsLog(tmp_path / "events.jsonl")
    assert list(log.events()) == []
    with pytest.raises(UsageError, match="No space left on device"):
        log(CHECKPOINT)


def test_one_process_at_a_time_writes(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    log = EventsLog(tmp_path / "events.jsonl")
    log(RunStarted(targets=("a",), settings={}))
    list(log.events())  # reading does not give up the lock
    code = "import sys, pathlib; from samplerfuzz.report.events_log import EventsLog; EventsLog(pathlib.Path(sys.argv[1]))"
    source = str(Path(sys.modules["samplerfuzz"].__file__ or "").parents[1])
    environment = {**os.environ, "PYTHONPATH": source}
    other = [sys.executable, "-c", code, str(log.path)]
    refused = subprocess.run(other, env=environment, capture_output=True, text=True)
    assert "another process is writing" in refused.stderr
    log.close()
    assert subprocess.run(other, env=environment).returncode == 0


def test_event_json_is_a_fixed_point() -> None:
    for event in (e for e in EVENTS if isinstance(e, Recorded)):
        assert event_json(event_from_json(event_json(event))) == event_json(event)
