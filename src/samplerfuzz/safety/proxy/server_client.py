"""The way to the one server: no redirect is followed, no proxy of the environment is used, no cookie is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx

from samplerfuzz.safety.proxy import headers as _headers
from samplerfuzz.safety.proxy.settings import Settings

_IDLE_SECONDS = 4.0  # shorter than servers keep a connection: one that they are about to close is not used


class UpstreamError(Exception):
    """The server did not answer as it should; `kind` is one word for how, `status` what the client is told."""

    def __init__(self, kind: str, status: int, message: str) -> None:
        super().__init__(message)
        self.kind, self.status = kind, status


class ServerClient:
    """Ask the server.

    One pool of httpx looks at every connection that it has for every request, so each connection is a pool of its own here, and the one that was
    used last is used next: a request costs the same however many are under way.
    """

    def __init__(self, settings: Settings) -> None:
        """Make ready; nothing is connected yet."""
        limits = settings.limits
        self._upstream = settings.upstream
        self._trust = httpx.create_ssl_context(trust_env=False)
        self._idle: list[httpx.AsyncHTTPTransport] = []
        self._timeouts = httpx.Timeout(limits.silent_seconds, connect=limits.connect_seconds, pool=None).as_dict()

    @asynccontextmanager
    async def asked(
        self,
        method: str,
        path: str,
        raw_headers: _headers.Raw,
        body: bytes | None,
        *,
        query: str = "",
        plain: bool = False,
        seconds: float = 0.0,
    ) -> AsyncIterator[httpx.Response]:
        """Send a request and have the answer, whose body has not been read; what is left of it at the end is not read any more.

        Args:
          method: of HTTP.
          path: in the spelling of the list of paths.
          raw_headers: of the client, and those added.
          body: None for a request without one.
          query: what stood behind the question mark.
          plain: whether the answer is to be uncompressed.
          seconds: a limit for every wait of this request, where it differs from the guard's.

        Raises:
          UpstreamError: no answer, or one that is not passed on.
        """
        upstream = self._upstream
        sent = _headers.to_upstream(raw_headers, host=upstream.authority, length=None if body is None else len(body), plain=plain)
        timeouts = httpx.Timeout(seconds).as_dict() if seconds else self._timeouts
        request = httpx.Request(method, upstream.url(path, query), headers=sent, content=body, extensions={"timeout": timeouts})
        transport = self._idle.pop() if self._idle else self._connection()
        try:
            response = await transport.handle_async_request(request)
        except httpx.TransportError as error:
            self._idle.append(transport)
            raise as_upstream_error(error) from error
        except BaseException:
            with anyio.CancelScope(shield=True):
                await transport.aclose()
            raise
        try:
            if 300 <= response.status_code < 400 and response.status_code != 304:
                raise UpstreamError("redirect", 502, "the server answered with a redirect, which is neither followed nor passed on")
            if not 200 <= response.status_code < 600:
                raise UpstreamError("garbage", 502, f"the server answered with the status {response.status_code}")
            yield response
        finally:
            with anyio.CancelScope(shield=True):
                await response.stream.aclose()  # type: ignore[union-attr]
            self._idle.append(transport)

    async def end(self) -> None:
        """Close all connections that are not in use."""
        while self._idle:
            await self._idle.pop().aclose()

    def _connection(self) -> httpx.AsyncHTTPTransport:
        one = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_IDLE_SECONDS)
        return httpx.AsyncHTTPTransport(verify=self._trust, limits=one, trust_env=False)


def as_upstream_error(error: httpx.TransportError) -> UpstreamError:
    """Return what a client is told of a failure on the way to the server or back."""
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return UpstreamError("unreachable", 502, "the server cannot be reached")
    if isinstance(error, httpx.TimeoutException):
        return UpstreamError("silent", 504, "the server said nothing for too long")
    if isinstance(error, httpx.ProtocolError):
        return UpstreamError("garbage", 502, "the server answered with something that is no HTTP, or broke off")
    return UpstreamError("broken", 502, "the connection to the server broke")
