"""Log-probabilities that the guard asks for itself, and takes out again.

Only where the policy allows it, and only of a request that does not ask for them: such a request is rewritten, and so is its answer, which is
therefore not the server's byte for byte. What is taken out is set to what a server says where nothing was asked: null in OpenAI's shapes,
nothing in llama.cpp's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from samplerfuzz.safety.proxy.events import EventReader

_ASKED = ("logprobs", "top_logprobs", "n_probs", "post_sampling_probs")


def asking(shape: str, data: Mapping[str, Any], count: int) -> bytes | None:
    """Return the request with log-probabilities asked for; None where it asks itself or its shape has none.

    >>> asking("chat", {"messages": []}, 5)
    b'{"messages":[],"logprobs":true,"top_logprobs":5}'
    """
    if shape not in _FIELDS or any(data.get(name) is not None for name in _ASKED):
        return None
    return json.dumps({**data, **_FIELDS[shape](count)}, allow_nan=False, separators=(",", ":")).encode()


_FIELDS: Mapping[str, Any] = {
    "completions": lambda count: {"logprobs": count},
    "chat": lambda count: {"logprobs": True, "top_logprobs": count},
    "llama.cpp": lambda count: {"n_probs": count},
}


def stripped(document: bytes) -> bytes:
    """Return an answer, or the data of one event, without its log-probabilities; as it came where it is no JSON object."""
    try:
        data = json.loads(document)
    except (ValueError, RecursionError):
        return document
    if not isinstance(data, dict) or not _take_out(data):
        return document
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _take_out(data: dict[str, Any]) -> bool:
    found = data.pop("completion_probabilities", None) is not None
    choices = data.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("logprobs") is not None:
            choice["logprobs"] = None
            found = True
    return found


class Stripper:
    """Take log-probabilities out of an answer as it passes: event by event, or at the end of a document."""

    def __init__(self, *, events: bool, largest: int) -> None:
        """Begin an answer; a document above `largest` bytes, or an event that does not end, passes as it came."""
        self._reader = EventReader(largest) if events else None
        self._largest = largest
        self._document = bytearray()
        self._passing = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield what may pass now."""
        if self._passing:
            yield piece
        elif self._reader is None:
            self._document += piece
            if len(self._document) > self._largest:
                self._passing = True
                yield bytes(self._document)
                self._document.clear()
        else:
            for block in self._reader.feed(piece):
                new = block.data and stripped(block.data)
                yield block.raw if not new or new == block.data else _event(block.raw, new)
            if self._reader.overflowed:
                self._passing = True
                yield self._reader.rest()

    def end(self) -> bytes:
        """Return what is left to pass."""
        if self._passing:
            return b""
        return stripped(bytes(self._document)) if self._reader is None else self._reader.rest()


def _event(raw: bytes, data: bytes) -> bytes:
    """Return an event with other data: its other fields stay."""
    lines = [line for line in raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n") if line and not line.startswith(b"data:")]
    return b"\n".join([*lines, b"data: " + data]) + b"\n\n"
