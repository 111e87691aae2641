"""events.jsonl: every event as one line, on disk before the next one happens; a killed run is read back from it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from samplerfuzz.core.errors import UsageError
from samplerfuzz.engine.events import Event, Recorded
from samplerfuzz.report.event_lines import event_from_line, event_line
from samplerfuzz.report.files import make_directory, writing

LOG_NAME = "events.jsonl"


class EventsLog:
    """The log of a run: `events()` are those of earlier processes, a call appends one.

    One process at a time holds the log, which an operating system lock sees to. What is for the eye or for other runs is not kept.

    Raises:
      UsageError: the file cannot be written, or another process writes to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        make_directory(path.parent)
        with writing(path):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            # the log may be a pipe or a device, which has neither a past nor an end to cut
            self._regular = stat.S_ISREG(os.fstat(self._file).st_mode)
        self._torn = self._regular
        if self._regular:
            self._lock()

    def events(self) -> Iterator[Event]:
        """Yield the events that are in the log.

        Raises:
          UsageError: a line that is no event; the message names file and line. A torn last line is no error.
        """
        if self._regular:
            # a second descriptor would give up the lock when it is closed
            with open(self._file, "rb", closefd=False) as file:
                file.seek(0)
                yield from parsed(file, self.path)

    def __call__(self, event: Event) -> None:
        """Append one line and hand it to the operating system; where it does not fit, no part of it stays."""
        if not isinstance(event, Recorded):
            return
        if self._torn:
            self._mend()
        line = event_line(event).encode()
        written = 0
        with writing(self.path):
            try:
                while written < len(line):
                    written += os.write(self._file, line[written:])
            except OSError:
                if written and self._regular:
                    with contextlib.suppress(OSError):
                        os.ftruncate(self._file, os.fstat(self._file).st_size - written)
                raise

    def close(self) -> None:
        """Close the file and give up the lock."""
        with writing(self.path):
            os.close(self._file)

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # an operating system without these locks
            return
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                os.close(self._file)
                raise UsageError(
                    f"another process is writing {str(self.path)!r}; wait for its end, or name another directory with --report-dir"
                ) from None
            # a file system without locks: a second writer goes unnoticed there

    def _mend(self) -> None:
        """Cut what a kill left of a last line, so that the next one stands by itself; a whole one gets its line end."""
        with writing(self.path), open(self._file, "rb", closefd=False) as file:
            file.seek(0)
            end = 0
            for line in file:
                if line.endswith(b"\n"):
                    end += len(line)
                elif _is_event(line):
                    os.write(self._file, b"\n")
                else:
                    os.ftruncate(self._file, end)
        self._torn = False


def read_events(path: Path) -> Iterator[Event]:
    """Yield the events of a log that somebody else may be writing to.

    Raises:
      UsageError: the file cannot be read, or a line is no event. A torn last line is no error.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror or error}; name a directory that a run has written") from error
    with file:
        yield from parsed(file, path)


def parsed(lines: Iterable[bytes], path: Path) -> Iterator[Event]:
    """Yield the events of `lines`; `path` is named in the error."""
    for number, line in enumerate(lines, 1):
        try:
            yield event_from_line(line)
        except ValueError as error:
            if not line.endswith(b"\n"):
                return
            raise UsageError(
                f"{path}:{number}: no event of a run ({error}); put the file right or take it away, or name another --report-dir"
            ) from error


def _is_event(line: bytes) -> bool:
    try:
        event_from_line(line)
    except ValueError:
        return False
    return True
