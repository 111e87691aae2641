"""The audit log: one JSON line a decision, in files that are begun anew at a size. What people wrote is in none of them.

A full disk does not stop serving: a line that cannot be written is counted and lost.
"""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from samplerfuzz.core.errors import UsageError
from samplerfuzz.safety.names import canonical


class AuditLog:
    """Decisions as JSON lines in a file; `FILE.1` is the one before it."""

    def __init__(self, path: Path, *, largest: int, kept: int, lost: Callable[[], None]) -> None:
        """Open the file.

        Args:
          path: of the newest lines.
          largest: bytes at which a new file is begun.
          kept: how many older ones stay.
          lost: called for each line that could not be written.

        Raises:
          UsageError: it cannot be opened.
        """
        try:
            self._handler = _Rotating(path, maxBytes=largest, backupCount=kept, encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"--audit {path}: {error.strerror or error}; name a file in a directory that is there and can be written"
            ) from error
        self._handler.lost = lost

    def write(self, entry: Mapping[str, Any]) -> None:
        """Write one line."""
        text = json.dumps({"time": round(time.time(), 3), **entry}, ensure_ascii=True)
        self._handler.emit(logging.LogRecord("audit", logging.INFO, "", 0, text.replace("%", "%%"), (), None))

    def close(self) -> None:
        """Close the file."""
        self._handler.acquire()
        try:
            self._handler.give_up_stream()
        finally:
            self._handler.release()
        self._handler.close()


class _Rotating(logging.handlers.RotatingFileHandler):
    """Says of a line that is lost so, and tries the file again at the next one."""

    lost: Callable[[], None] = staticmethod(lambda: None)

    def format(self, record: logging.LogRecord) -> str:
        return str(record.msg).replace("%%", "%")

    def handleError(self, record: logging.LogRecord) -> None:
        self.lost()
        self.give_up_stream()

    def give_up_stream(self) -> None:
        """Close the file, whether or not what is in its buffer can be written; the next line opens it again."""
        stream, self.stream = self.stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def noticed(results: Sequence[Any]) -> list[dict[str, Any]]:
    """Return what an audit says of results: who noticed what of which parameter, and its numbers. A word that a client wrote stays out.

    A field that is no sampling parameter is called "other": a client may write anything there. So may it in a value, which a message repeats.
    """
    found = []
    for item in results:
        numbers = {name: value for name, value in item.evidence.items() if isinstance(value, int | float | bool) or value is None}
        entry: dict[str, Any] = {"validator": item.validator, "severity": item.severity}
        if item.parameter is not None:
            entry["parameter"] = canonical(item.parameter) or "other"
        found.append({**entry, **({"evidence": numbers} if numbers else {})})
    return found
