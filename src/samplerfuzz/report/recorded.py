"""Findings read back from what a run has written: its directory, its report.json or one case file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from samplerfuzz.checks.finding import Finding
from samplerfuzz.core.errors import UsageError
from samplerfuzz.engine.history import history_of
from samplerfuzz.report.events_log import LOG_NAME, read_events
from samplerfuzz.report.schema import FindingEntry, Report

_REPORT = "report.json"


def newest_run(root: Path) -> Path:
    """Return the run directory under `root` that was written to last.

    Raises:
      UsageError: there is none.
    """
    written = [
        (file.stat().st_mtime, directory)
        for directory in (root.iterdir() if root.is_dir() else ())
        for file in (directory / LOG_NAME, directory / _REPORT)
        if file.is_file()
    ]
    if not written:
        raise UsageError(f"no run under {str(root)!r}; name a report directory, a report.json or a case file")
    return max(written)[1]


def recorded_findings(path: Path) -> list[Finding]:
    """Return the findings of a report directory, finished or not, of a report.json or of a case file.

    Raises:
      UsageError: the file cannot be read or holds no findings of samplerfuzz.
    """
    if path.is_dir():
        if (path / LOG_NAME).is_file():  # newer than the report of a run that was interrupted, resumed and killed
            run = history_of(read_events(path / LOG_NAME))
            if run is not None and "test" in run.started.settings:
                raise _of_pytest(path.parent.parent)
            return list(run.findings) if run else []
        if any((path / "tests").glob(f"*/{LOG_NAME}")):
            raise _of_pytest(path)
        if not (path / _REPORT).is_file():
            raise UsageError(f"{str(path)!r} holds neither {LOG_NAME} nor {_REPORT}; name a directory that a run has written")
        path = path / _REPORT
    try:
        data = json.loads(path.read_bytes())
        return [Finding.from_json(item) for item in _entries(data)]
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{str(path)!r} is no report.json and no case file of samplerfuzz ({reason}); name one, or a directory") from error


def _of_pytest(directory: Path) -> UsageError:
    # a test calls functions that nothing else can import, under declarations that stand in the test
    return UsageError(
        f"{str(directory)!r} holds a run of pytest; `pytest --samplerfuzz-replay {directory}` runs its findings again, each in its test"
    )


def _entries(data: Any) -> list[dict[str, Any]]:
    if isinstance(data, dict) and "logits" in data:
        if "finding" not in data:
            raise ValueError("a case without its finding")
        case = {name: value for name, value in data.items() if name != "finding"}
        return [FindingEntry.model_validate({**data["finding"], "case": case, "reproducer": None}).model_dump()]
    return [entry.model_dump() for entry in Report.model_validate(data).findings]
