"""The guard's own pages: live state, metrics, health. They hold counts and names of parameters, never a word of a prompt or an answer."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2

import samplerfuzz
from samplerfuzz.safety.proxy.exchange import Exchange, Outcome, Receive, Send
from samplerfuzz.safety.proxy.parts import Parts
from samplerfuzz.safety.proxy.replies import Reply, as_json, refusal
from samplerfuzz.safety.proxy.server_client import UpstreamError

_PROBE_SECONDS = 2.0
_PROBE = "/v1/models"


class Pages:
    """Answers to the paths that are the guard's own."""

    def __init__(self, parts: Parts) -> None:
        """Take what is shown."""
        self._parts = parts

    async def answer(self, method: str, path: str) -> Reply | None:
        """Return what a path of the guard's own answers, None for any other path."""
        metrics = path in ("/-/metrics", self._parts.settings.metrics_path)
        if not metrics and path != "/" and not path.startswith("/-/"):
            return None
        if method not in ("GET", "HEAD"):
            return refusal(405, "method_not_allowed", f"{path[:100]} takes GET", headers=((b"allow", b"GET, HEAD"),), close=True)
        if metrics:
            text, kind = self._parts.metrics.text()
            return Reply(status=200, body=text, content_type=kind.encode())
        if path == "/":
            return page()
        if path == "/-/state.json":
            return as_json(self._parts.state.to_json())
        if path == "/-/healthz":
            return as_json({"status": "ok"})
        if path == "/-/readyz":
            return await self._ready()
        return refusal(404, "no_such_path", "expected /, /metrics, /-/state.json, /-/healthz or /-/readyz")

    async def _ready(self) -> Reply:
        if self._parts.state.draining:
            return as_json({"status": "draining"}, 503)
        try:
            async with self._parts.server.asked("GET", _PROBE, [], None, seconds=_PROBE_SECONDS) as response:
                ready = response.status_code < 500
        except UpstreamError as error:
            return as_json({"status": "not ready", "upstream": error.kind}, 503)
        return as_json({"status": "ready" if ready else "not ready", "upstream": response.status_code}, 200 if ready else 503)


class AdminApp:
    """The guard's own pages as an application by themselves, for an address of their own."""

    def __init__(self, parts: Parts) -> None:
        """Take what is shown."""
        self._parts, self._pages = parts, Pages(parts)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        reply = await self._pages.answer(scope["method"], scope["path"])
        exchange = Exchange(receive, send, self._parts.settings.limits)
        await exchange.reply(reply or refusal(404, "no_such_path", "the guard's own pages are at /, /metrics and /-/"), Outcome())


def page() -> Reply:
    """Return the page at /: one file that loads nothing but /-/state.json."""
    nonce = secrets.token_urlsafe(16)
    policy = f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; base-uri 'none'; frame-ancestors 'self'"
    headers = (
        (b"content-security-policy", policy.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
    )
    body = _template().render(nonce=nonce, version=samplerfuzz.__version__).encode()
    return Reply(status=200, body=body, headers=headers, content_type=b"text/html; charset=utf-8")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("samplerfuzz.safety.proxy"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("guard.html.j2")
