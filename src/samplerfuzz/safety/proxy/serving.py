"""The guard on a socket: uvicorn with h11, signals that drain it, and a limit on how long a request's head may take.

h11 rather than a faster parser, since it bounds the size of a head while it is read.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from samplerfuzz.core.errors import UsageError
from samplerfuzz.safety.proxy.admin import AdminApp
from samplerfuzz.safety.proxy.app import Guard
from samplerfuzz.safety.proxy.parts import Parts

_BACKLOG = 1024


def address(text: str, option: str) -> tuple[str, int]:
    """Return host and port of "HOST:PORT".

    Raises:
      UsageError: it is not that.

    >>> address("[::1]:8090", "--listen"), address("127.0.0.1:0", "--listen")
    (('::1', 8090), ('127.0.0.1', 0))
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise UsageError(f"{option} {text!r}: expected HOST:PORT with a port from 0 to 65535, as in 127.0.0.1:8090")
    return host, int(port)


def listening(host: str, port: int, option: str) -> socket.socket:
    """Return a socket that listens.

    Raises:
      UsageError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off where the protocol is named, and only there: without, an answer waits 40 ms for an acknowledgement
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise UsageError(
            f"{option} {host}:{port}: {error.strerror or error}; choose another address, or port 0 for any free one"
        ) from error
    return sock


def serve(parts: Parts, sock: socket.socket, *, admin: socket.socket | None = None, started: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGINT or SIGTERM, then let what is under way end.

    Args:
      parts: of the guard.
      sock: that clients connect to.
      admin: for the guard's own pages, where they have an address of their own.
      started: called when requests are taken.
    """
    asyncio.run(_serve(parts, sock, admin, started))


async def _serve(parts: Parts, sock: socket.socket, admin: socket.socket | None, started: Callable[[], None]) -> None:
    guard = GuardServer(configuration(parts, Guard(parts)))
    guard.on_exit = lambda: setattr(parts.state, "draining", True)
    guard.on_started = started
    serving = [guard.serve(sockets=[sock])]
    if admin is not None:
        other = GuardServer(configuration(parts, AdminApp(parts)), takes_signals=False)
        serving.append(_until(guard.ended, other, admin))
    try:
        await asyncio.gather(*serving)
    finally:
        await parts.end()


async def _until(ended: asyncio.Event, server: GuardServer, sock: socket.socket) -> None:
    """Serve until the guard itself has ended: its drain can be watched."""
    task = asyncio.create_task(server.serve(sockets=[sock]))
    await ended.wait()
    server.should_exit = True
    await task


def configuration(parts: Parts, app: Any) -> uvicorn.Config:
    """Return uvicorn's settings."""
    limits = parts.settings.limits
    # a broken answer is counted here; uvicorn would write a line, or a traceback, for each
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    return uvicorn.Config(
        app,
        http=protocol(limits.head_seconds),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=limits.header,
        timeout_graceful_shutdown=max(1, round(limits.drain_seconds)),
        backlog=_BACKLOG,
    )


class GuardServer(uvicorn.Server):
    """Ends with the drain when it is told to, and with exit status 0."""

    def __init__(self, config: uvicorn.Config, *, takes_signals: bool = True) -> None:
        """Take uvicorn's settings; `takes_signals` where SIGINT and SIGTERM end it."""
        super().__init__(config)
        self._takes_signals = takes_signals
        self.on_exit: Callable[[], None] = lambda: None
        self.on_started: Callable[[], None] = lambda: None
        self.ended = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests."""
        await super().startup(sockets)
        if self.started:
            self.on_started()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to end."""
        try:
            await super().serve(sockets)
        finally:
            self.ended.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle both signals while serving; unlike uvicorn, raise none of them again when all has ended well."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM) if self._takes_signals else ()
        for number in signals:
            loop.add_signal_handler(number, self.tell_to_end)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def tell_to_end(self) -> None:
        """Take no new requests; told twice, do not wait for those under way."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self.on_exit()


def protocol(head_seconds: float) -> type[H11Protocol]:
    """Return uvicorn's protocol with a limit on the time that line and headers may take."""

    class HeadInTime(H11Protocol):
        """Closes a connection whose request does not get to its body."""

        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._timer = self.loop.call_later(head_seconds, self._late)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is not h11.IDLE:
                self._disarm()
            elif self._timer is None:
                self._timer = self.loop.call_later(head_seconds, self._late)

        def connection_lost(self, exc: Exception | None) -> None:
            self._disarm()
            super().connection_lost(exc)

        def _disarm(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _late(self) -> None:
            self._timer = None
            if not self.transport.is_closing():
                self.transport.close()

    return HeadInTime
