"""One request and its answer: read within limits, sent on, and passed back piece by piece as the client takes it.

A piece is read from the server when the one before has gone to the client, so a slow client slows the server down and nothing piles up. A client
that goes takes its request with it. A server that breaks off leaves the client's answer broken off as well: never completed in its stead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import httpx

from samplerfuzz.safety.proxy import headers as _headers
from samplerfuzz.safety.proxy.logprobs import Stripper
from samplerfuzz.safety.proxy.replies import Reply, refusal
from samplerfuzz.safety.proxy.server_client import ServerClient, UpstreamError, as_upstream_error
from samplerfuzz.safety.proxy.settings import Limits
from samplerfuzz.safety.proxy.watching import LARGEST, Tap

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
TOO_LONG = "too_long"


class ClientGoneError(Exception):
    """The client went before its request was there."""


@dataclass(kw_only=True)
class Outcome:
    """How an exchange went.

    Attributes:
      status: that the client was told, 0 for none.
      started: whether the answer has begun.
      complete: whether it came to its end.
      failure: one word for what went wrong on the server's side.
      gone: whether the client went.
      events: whether the answer was a stream of events.
      watchable: whether its bytes can be read: 200, and not compressed.
      retry: whether the request is to be sent once more, as it came.
    """

    status: int = 0
    started: bool = False
    complete: bool = False
    failure: str = ""
    gone: bool = False
    events: bool = False
    watchable: bool = False
    retry: bool = False


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request to the server.

    Attributes:
      method, path, query: where it goes.
      headers: the client's, and those added.
      body: None for none.
      plain: whether the answer is to be uncompressed.
      strip: whether log-probabilities are taken out of the answer.
      retries: whether a refusal (4xx) is not passed on, since the request is sent once more as it came.
      answer_headers: added to the answer.
    """

    method: str
    path: str
    query: str = ""
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes | None = None
    plain: bool = False
    strip: bool = False
    retries: bool = False
    answer_headers: Sequence[tuple[bytes, bytes]] = ()


class Exchange:
    """One request of one client."""

    def __init__(self, receive: Receive, send: Send, limits: Limits) -> None:
        """Begin with the two ways to the client."""
        self._receive, self._send, self._limits = receive, send, limits

    async def body(self, raw_headers: _headers.Raw) -> bytes | Reply:
        """Return the request's body, or what to answer where it is too large or too slow.

        Raises:
          ClientGoneError: the client went.
        """
        declared = _headers.one(raw_headers, b"content-length")
        if declared is not None and declared.isdigit() and len(declared) < 20 and int(declared) > self._limits.body:
            return self._too_large()
        pieces, size = [], 0
        with anyio.move_on_after(self._limits.body_seconds):
            while True:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                piece = message.get("body", b"")
                size += len(piece)
                if size > self._limits.body:
                    return self._too_large()
                pieces.append(piece)
                if not message.get("more_body", False):
                    return b"".join(pieces)
        return refusal(408, "slow_body", f"the body was not there after {self._limits.body_seconds:g} s", close=True)

    async def reply(self, reply: Reply, outcome: Outcome) -> None:
        """Give an answer of the guard's own."""
        outcome.started, outcome.status = True, reply.status
        await self._send({"type": "http.response.start", "status": reply.status, "headers": reply.all_headers})
        await self._send({"type": "http.response.body", "body": reply.body})
        outcome.complete = True

    async def forward(self, server: ServerClient, call: Call, outcome: Outcome, tap: Tap | None = None) -> None:
        """Send a request on and pass the answer back; copy what passes into `tap`; say in `outcome` how it goes."""
        failed: UpstreamError | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._leave_with_client, group.cancel_scope, outcome)
            with anyio.move_on_after(self._limits.total_seconds) as limit:
                try:
                    await self._pass(server, call, tap, outcome)
                except UpstreamError as error:
                    failed = error
            if limit.cancelled_caught:
                failed = UpstreamError(TOO_LONG, 504, f"the answer did not end within {self._limits.total_seconds:g} s")
            group.cancel_scope.cancel()
        if failed is not None:
            outcome.failure = failed.kind
            if not outcome.started:
                # a client sees by its status that this answer is the guard's; one that has begun ends where it is
                await self.reply(refusal(failed.status, f"upstream_{failed.kind}", str(failed), headers=call.answer_headers), outcome)

    async def _leave_with_client(self, scope: anyio.CancelScope, outcome: Outcome) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        outcome.gone = not outcome.complete
        scope.cancel()

    async def _pass(self, server: ServerClient, call: Call, tap: Tap | None, outcome: Outcome) -> None:
        asked = server.asked(call.method, call.path, call.headers, call.body, query=call.query, plain=call.plain)
        async with asked as response:
            if call.retries and 400 <= response.status_code < 500:
                outcome.retry = True
                return
            outcome.status = response.status_code
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            coded = response.headers.get("content-encoding", "identity").lower() != "identity"
            outcome.events = kind == "text/event-stream"
            outcome.watchable = response.status_code == 200 and not coded
            stripper = Stripper(events=outcome.events, largest=LARGEST) if call.strip and outcome.watchable else None
            dropped = (*_headers.OWN, *((b"content-length",) if stripper else ()))
            given = [*_headers.end_to_end(response.headers.raw, without=dropped), *call.answer_headers]
            await self._send({"type": "http.response.start", "status": response.status_code, "headers": given})
            outcome.started = True
            await self._body(response, stripper, tap)
            outcome.complete = True

    async def _body(self, response: httpx.Response, stripper: Stripper | None, tap: Tap | None) -> None:
        last = b""
        try:
            async for piece in response.stream:  # type: ignore[union-attr]
                if tap is not None:
                    tap.take(piece)
                for part in (piece,) if stripper is None else stripper.feed(piece):
                    await self._send({"type": "http.response.body", "body": part, "more_body": True})
        except httpx.TransportError as error:
            raise as_upstream_error(error) from error
        if stripper is not None:
            last = stripper.end()
        await self._send({"type": "http.response.body", "body": last})

    def _too_large(self) -> Reply:
        message = f"the body is larger than {self._limits.body} bytes; expected at most so many"
        return refusal(413, "body_too_large", message, close=True)
