"""A guard in a thread of its own, on a free port."""

import asyncio
import contextlib
import socket
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

import httpx

from samplerfuzz.safety.policy import Policy
from samplerfuzz.safety.proxy.app import Guard
from samplerfuzz.safety.proxy.assembly import assembled
from samplerfuzz.safety.proxy.endpoints import LET_BY
from samplerfuzz.safety.proxy.serving import GuardServer, configuration, listening
from samplerfuzz.safety.proxy.settings import Limits, Settings, upstream


@dataclass
class Running:
    """A guard that serves."""

    url: str
    port: int
    parts: Any

    def post(self, path, body, *, stub="", **options):
        """Ask once; `stub` is what the server behind is to do."""
        headers = {"content-type": "application/json", "x-stub": stub, **options.pop("headers", {})}
        data = {"content": body} if isinstance(body, bytes) else {"json": body}
        with httpx.Client(trust_env=False, verify=False, timeout=30) as client:
            return client.post(self.url + path, headers=headers, **data, **options)

    def get(self, path, **options):
        with httpx.Client(trust_env=False, verify=False, timeout=30) as client:
            return client.get(self.url + path, **options)

    def raw(self, data, *, seconds=10, ends=False):
        """Send bytes, and where it `ends` no more, and return all that comes until the connection ends."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as client:
            client.sendall(data)
            pieces = []
            with contextlib.suppress(ConnectionResetError):
                if ends:
                    client.shutdown(socket.SHUT_WR)
                while piece := client.recv(65536):
                    pieces.append(piece)
            return b"".join(pieces)

    def settle(self):
        """Wait until every answer has ended, is examined and written down."""
        end = time.monotonic() + 20
        while self.total("in_flight"):
            assert time.monotonic() < end
            time.sleep(0.002)
        self.parts.settle()

    def total(self, name, **labels):
        return self.parts.metrics.total(name, **labels)


@contextlib.contextmanager
def guarding(url, policy=None, *, registry=None, limits=None, let_by=(), rate=None, **settings):
    """Serve a guard and give it."""
    made = Settings(upstream=upstream(url), limits=limits or Limits(), let_by=frozenset((*LET_BY, *let_by)), **settings)
    parts = assembled(replace(made), policy or Policy(), registry=registry)
    sock = listening("127.0.0.1", 0, "--listen")
    ready, loops = threading.Event(), []

    async def main():
        server = GuardServer(configuration(parts, Guard(parts)), takes_signals=False)
        server.on_started = ready.set
        loops.append((asyncio.get_running_loop(), server))
        await server.serve(sockets=[sock])
        await parts.end()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(20)
    port = sock.getsockname()[1]
    try:
        yield Running(url=f"http://127.0.0.1:{port}", port=port, parts=parts)
    finally:
        loop, server = loops[0]
        loop.call_soon_threadsafe(server.tell_to_end)
        loop.call_soon_threadsafe(server.tell_to_end)
        thread.join(20)
