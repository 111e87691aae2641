"""The guard as an ASGI application: a request is judged, sent on, passed back, watched, counted and written down."""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.to_thread

from samplerfuzz.safety.names import canonical
from samplerfuzz.safety.proxy import headers as _headers
from samplerfuzz.safety.proxy.admin import Pages
from samplerfuzz.safety.proxy.audit import noticed
from samplerfuzz.safety.proxy.endpoints import GUARDED, Endpoint, is_let_by
from samplerfuzz.safety.proxy.exchange import Call, ClientGoneError, Exchange, Outcome, Receive, Send
from samplerfuzz.safety.proxy.fidelity import Turn
from samplerfuzz.safety.proxy.logprobs import asking
from samplerfuzz.safety.proxy.parts import Parts
from samplerfuzz.safety.proxy.replies import Reply, refusal
from samplerfuzz.safety.proxy.review import Review, review
from samplerfuzz.safety.proxy.watching import Tap, Watched

_LOG = logging.getLogger("samplerfuzz.guard")
_RETRY_SECONDS = b"1"
_LARGE = 32 * 2**10


class Guard:
    """Answers every request of every client."""

    def __init__(self, parts: Parts, *, chance: Callable[[], float] = random.random) -> None:
        """Take the parts; `chance` draws whether an answer is watched."""
        self._parts, self._chance = parts, chance
        self._pages = Pages(parts)
        self._refuses_logprobs: set[str] = set()

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection's request; nothing that a request holds makes it raise."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        exchange, outcome = Exchange(receive, send, self._parts.settings.limits), Outcome()
        try:
            await self._serve(scope, exchange, outcome)
        except ClientGoneError:
            self._parts.metrics.add("client_disconnects")
        except Exception:
            _LOG.exception("a request could not be served")
            self._parts.metrics.add("guard_errors", "serving")
            if not outcome.started:
                await exchange.reply(
                    refusal(500, "guard_failed", "the guard failed; the request may not have been sent on", close=True), outcome
                )

    async def _serve(self, scope: Mapping[str, Any], exchange: Exchange, outcome: Outcome) -> None:
        parts, method, raw_headers = self._parts, scope["method"], scope["headers"]
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        if parts.settings.own_pages and (page := await self._pages.answer(method, path)) is not None:
            await exchange.reply(page, outcome)
            return
        if _headers.size(raw_headers) + len(path) + len(scope["query_string"]) > parts.settings.limits.header:
            reply = refusal(431, "headers_too_large", f"expected at most {parts.settings.limits.header} bytes of headers", close=True)
            await self._turn_away(exchange, outcome, reply)
        elif parts.in_flight >= parts.settings.limits.concurrency or parts.state.draining:
            parts.metrics.add("overloads")
            message = f"{parts.in_flight} requests are under way; expected at most {parts.settings.limits.concurrency}: try again"
            reply = refusal(503, "overloaded", message, headers=((b"retry-after", _RETRY_SECONDS),), close=True)
            await exchange.reply(reply, outcome)
        else:
            with parts.under_way():
                if path in GUARDED:
                    await self._judged(scope, exchange, outcome, path, GUARDED[path])
                elif is_let_by(method, path, parts.settings.let_by):
                    await self._let_by(scope, exchange, outcome, path)
                else:
                    message = f"{method} {path[:100]} is not served here; the guard's --allow lets a path by"
                    await self._turn_away(exchange, outcome, refusal(404, "no_such_path", message, close=True))

    async def _turn_away(self, exchange: Exchange, outcome: Outcome, reply: Reply) -> None:
        self._parts.metrics.add("passed_requests", str(reply.status))
        await exchange.reply(reply, outcome)

    async def _let_by(self, scope: Mapping[str, Any], exchange: Exchange, outcome: Outcome, path: str) -> None:
        body = await exchange.body(scope["headers"])
        if isinstance(body, Reply):
            await self._turn_away(exchange, outcome, body)
            return
        query = scope["query_string"].decode("latin-1")
        named = _headers.one(scope["headers"], b"content-length") is not None or body
        call = Call(method=scope["method"], path=path, query=query, headers=scope["headers"], body=body if named else None)
        await exchange.forward(self._parts.server, call, outcome)
        self._count_outcome(outcome)
        self._parts.metrics.add("passed_requests", str(outcome.status))

    async def _judged(self, scope: Mapping[str, Any], exchange: Exchange, outcome: Outcome, path: str, endpoint: Endpoint) -> None:
        parts, raw_headers = self._parts, scope["headers"]
        if scope["method"] != "POST":
            reply = refusal(405, "method_not_allowed", f"{path} takes POST", headers=((b"allow", b"POST"),), close=True)
            await self._turn_away(exchange, outcome, reply)
            return
        begun, body = time.perf_counter(), await exchange.body(raw_headers)
        if isinstance(body, Reply):
            await self._turn_away(exchange, outcome, body)
            return
        read = time.perf_counter()
        if scope["query_string"]:
            reply = refusal(400, "query_not_allowed", f"{path} takes no query: settings stand in the body", name=None)
            found = Review(action="reject", reason="malformed:query", reply=reply)
        else:
            found = await self._reviewed(raw_headers, body)
        self._count_review(found, path)
        with parts.telemetry.request(endpoint.operation, raw_headers, found.data) as span:
            if found.reply is not None:
                decided = _decision(found)
                await exchange.reply(
                    Reply(status=found.reply.status, body=found.reply.body, headers=[*found.reply.headers, *decided]), outcome
                )
            else:
                parts.metrics.observe("added_seconds", time.perf_counter() - read)
                await self._sent_on(found, raw_headers, exchange, outcome, path, endpoint)
            seconds = time.perf_counter() - begun
            parts.telemetry.ended(
                span, operation=endpoint.operation, action=found.action, status=outcome.status, failure=outcome.failure, seconds=seconds
            )
        self._count_outcome(outcome)
        parts.metrics.add("responses", str(outcome.status))
        parts.metrics.observe("duration_seconds", seconds, path)
        self._write_down(found, outcome, path, seconds)

    async def _reviewed(self, raw_headers: _headers.Raw, body: bytes) -> Review:
        """Return what is decided of a body; a large one is read beside the serving, since others need not wait for it."""
        policy, depth = self._parts.policy, self._parts.settings.limits.depth
        if len(body) <= _LARGE:
            return review(policy, raw_headers, body, depth=depth)
        return await anyio.to_thread.run_sync(lambda: review(policy, raw_headers, body, depth=depth))

    async def _sent_on(
        self, found: Review, raw_headers: _headers.Raw, exchange: Exchange, outcome: Outcome, path: str, endpoint: Endpoint
    ) -> None:
        parts = self._parts
        watches = self._chance() < parts.policy.sampling_rate
        asked = None
        if watches and parts.policy.logprobs and path not in self._refuses_logprobs:
            asked = asking(endpoint.shape, found.data, parts.settings.logprobs_count)
        sent = self._headers_sent(raw_headers)
        if asked is not None:
            parts.metrics.add("logprobs_requests")
            call = Call(
                method="POST",
                path=path,
                headers=sent,
                body=asked,
                plain=True,
                strip=True,
                retries=True,
                answer_headers=_decision(found, logprobs=True),
            )
            await self._watched(call, outcome, exchange, found, endpoint, added=parts.settings.logprobs_count)
            if not outcome.retry:
                return
        call = Call(method="POST", path=path, headers=sent, body=found.body, plain=watches, answer_headers=_decision(found))
        if watches:
            await self._watched(call, outcome, exchange, found, endpoint)
        else:
            await exchange.forward(parts.server, call, outcome)
        if asked is not None and outcome.status == 200:
            self._refuses_logprobs.add(path)  # it was the log-probabilities that the server refused, not the request

    def _headers_sent(self, raw_headers: _headers.Raw) -> _headers.Raw:
        carried = self._parts.telemetry.headers()
        return [*_headers.end_to_end(raw_headers, without=[name for name, _ in carried]), *carried]

    async def _watched(
        self, call: Call, outcome: Outcome, exchange: Exchange, found: Review, endpoint: Endpoint, *, added: int = 0
    ) -> None:
        """Send a request on and have a copy of its answer examined; `added`: log-probabilities that the guard asks for itself."""
        parts, tap = self._parts, Tap()
        turn = parts.fidelity.begin(endpoint.shape, found.data, found.body, added=added)
        submitted = False
        try:
            await exchange.forward(parts.server, call, outcome, tap)
            if not outcome.retry:
                submitted = self._watch(tap, outcome, found, call.path, endpoint, turn)
        finally:
            if not submitted:
                parts.watcher.give_up(turn)

    def _watch(self, tap: Tap, ended: Outcome, found: Review, path: str, endpoint: Endpoint, turn: Turn) -> bool:
        parts = self._parts
        if ended.started and ended.watchable:
            parts.watcher.submit(
                Watched(
                    tap=tap,
                    events=ended.events,
                    settings=found.settings,
                    path=path,
                    turn=turn,
                    counted=lambda usage: parts.telemetry.counted(endpoint.operation, usage),
                )
            )
            return True
        if ended.status == 200:
            parts.metrics.add("unwatched_answers", "encoded")
        return False

    def _count_review(self, found: Review, path: str) -> None:
        metrics = self._parts.metrics
        metrics.add("requests", path, found.action)
        kind, _, detail = found.reason.partition(":")
        if kind == "error":
            metrics.add("guard_errors", "policy")
        if kind != "policy" and found.action == "reject":
            metrics.add("rejects", "other", detail if kind == "malformed" else kind)
        if found.settings.get("temperature") is not None or any(canonical(item.parameter) == "temperature" for item in found.results):
            metrics.add("temperature_requests")
        faults = [item for item in found.results if "action" in item.evidence]
        if any(canonical(item.parameter) == "temperature" for item in faults):
            metrics.add("temperature_anomalies")
        for item in found.results:
            label = metrics.label(canonical(item.parameter))
            action = item.evidence.get("action", found.action if found.action == "reject" else "flag")
            if action == "reject":
                metrics.add("rejects", label, str(item.evidence.get("kind", item.validator))[:40])
            elif action == "clamp":
                metrics.add("clamps", label)
            elif item.severity != "info":
                metrics.add("flags", label, item.validator[:40])

    def _count_outcome(self, ended: Outcome) -> None:
        if ended.failure:
            self._parts.metrics.add("upstream_errors", ended.failure)
        if ended.gone:
            self._parts.metrics.add("client_disconnects")

    def _write_down(self, found: Review, ended: Outcome, path: str, seconds: float) -> None:
        named = sorted({self._parts.metrics.label(canonical(item.parameter)) for item in found.results if item.parameter is not None})
        self._parts.state.decided(path=path, action=found.action, reason=found.reason, parameters=named, status=ended.status)
        self._parts.write_down(
            {
                "id": uuid.uuid4().hex[:16],
                "path": path,
                "action": found.action,
                "reason": found.reason,
                "status": ended.status,
                "complete": ended.complete,
                "failure": ended.failure,
                "client_gone": ended.gone,
                "seconds": round(seconds, 6),
                "results": noticed(found.results),
            }
        )


def _decision(found: Review, *, logprobs: bool = False) -> list[tuple[bytes, bytes]]:
    """Return the headers that say what was decided, of a clamp with the parameters and what they became, and what was written anew."""
    said = [found.action]
    for item in found.results:
        value, name = item.evidence.get("forwarded"), canonical(item.parameter)
        if name is not None and isinstance(value, int | float):
            said.append(f"{name}={value}")
    rewritten = [*(["settings"] if found.rewritten else []), *(["logprobs"] if logprobs else [])]
    return [
        (_headers.DECISION, "; ".join(said[:20]).encode("ascii", "replace")),
        *([(_headers.REWRITTEN, ", ".join(rewritten).encode())] if rewritten else []),
    ]
