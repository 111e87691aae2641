"""Server-sent events, out of bytes that may be cut anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

LARGEST = 4 * 2**20
_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One event.

    Attributes:
      raw: its bytes, with the blank line that ends it.
      data: its data lines, joined; None for a comment or an event without data.
    """

    raw: bytes
    data: bytes | None


class EventReader:
    """Cut a stream into events. Lines end in LF, CR LF or CR; a CR at the end of a piece waits for the next one.

    >>> reader = EventReader()
    >>> [block.data for piece in (b"data: a", b"\\r\\ndata: b\\r", b"\\n\\r\\n: c", b"\\n\\n") for block in reader.feed(piece)]
    [b'a\\nb', None]
    """

    def __init__(self, largest: int = LARGEST) -> None:
        """Begin a stream; an event above `largest` bytes ends the reading, and what follows is no event."""
        self._largest = largest
        self._buffer = bytearray()
        self._from = 0
        self._start = 0
        self.overflowed = False

    def feed(self, piece: bytes) -> Iterator[Block]:
        """Yield the events that `piece` completes."""
        if self.overflowed:
            return
        self._buffer += piece
        while (end := self._end_of_event()) is not None:
            raw = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._from = self._start = 0
            yield Block(raw=raw, data=_data(raw))
        if len(self._buffer) > self._largest:
            self.overflowed = True

    def rest(self) -> bytes:
        """Return what is left over: the beginning of an event that did not end."""
        return bytes(self._buffer)

    def _end_of_event(self) -> int | None:
        """Return where the first blank line ends. Each line is looked at once, however often a piece comes."""
        buffer, at = self._buffer, self._from
        while (found := _LINE_END.search(buffer, at)) is not None:
            end, after = found.span()
            del found  # a match holds on to the buffer
            if after == len(buffer) and buffer[end] == 0x0D and after - end == 1:
                self._from = end  # a line feed may follow
                return None
            if end == self._start:
                return after
            self._start = at = after
        self._from = len(buffer)
        return None


def _data(raw: bytes) -> bytes | None:
    lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    found = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    return b"\n".join(found) if found else None
