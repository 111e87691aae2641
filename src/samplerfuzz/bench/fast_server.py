"""A server that costs next to nothing: any request is answered with the same stream of events, or the same document.

Run as `python -m samplerfuzz.bench.fast_server`; it prints its port. Written on asyncio's protocols, since what the guard adds is to be measured and
not what a server costs.
"""

from __future__ import annotations

import asyncio
import json
from typing import cast

EVENTS = 16
_EVENT = (
    b"data: "
    + json.dumps(
        {
            "id": "x",
            "object": "chat.completion.chunk",
            "model": "m",
            "choices": [{"index": 0, "delta": {"content": " word"}, "finish_reason": None}],
        }
    ).encode()
)
_PIECES = [*[_EVENT + b"\n\n"] * EVENTS, b"data: [DONE]\n\n"]
_CHUNKS = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in _PIECES]
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"\r\n0\r\n\r\n"


class Connection(asyncio.Protocol):
    """Answers each request when it is whole."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._read = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole by now."""
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._read[:end]).lower()
            _, _, after = head.partition(b"content-length:")
            length = int(after.partition(b"\r\n")[0] or 0)
            if len(self._read) < end + 4 + length:
                return
            del self._read[: end + 4 + length]
            self._transport.write(_STREAM_HEAD)
            for chunk in _CHUNKS:  # a write each, as tokens come
                self._transport.write(chunk)
            self._transport.write(b"0\r\n\r\n")


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
