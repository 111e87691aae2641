"""events.jsonl: every event as one line, on disk before the next one happens."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from samplerfuzz.checks.finding import Finding
from samplerfuzz.engine.events import Event
from samplerfuzz.report.files import make_directory, writing
from samplerfuzz.report.text import json_ready


class EventsLog:
    """Append events to a file; a killed run loses nothing that was recorded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        make_directory(path.parent)
        with writing(path):
            self._file = path.open("a", encoding="utf-8", buffering=1)

    def __call__(self, event: Event) -> None:
        """Write one line and hand it to the operating system."""
        with writing(self.path):
            self._file.write(json.dumps(event_json(event), ensure_ascii=False, allow_nan=False) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with writing(self.path):
            self._file.close()


def event_json(event: Event) -> dict[str, Any]:
    """Return an event as JSON data: its type's name under `event`, then its fields."""
    return {"event": type(event).__name__, **{f.name: _value(getattr(event, f.name)) for f in fields(event)}}


def _value(value: Any) -> Any:
    if isinstance(value, Finding):
        return json_ready(value.to_json())
    if isinstance(value, tuple):
        return [_value(item) for item in value]
    return json_ready(value)
