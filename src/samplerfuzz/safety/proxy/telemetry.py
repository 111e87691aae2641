"""OpenTelemetry: one span a judged request and two histograms, under the names of its conventions for generative models.

Only the API is needed: without an SDK nothing is recorded and the trace context of a client goes to the server as it came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

import samplerfuzz

# the request's field -> the attribute; only numbers and the model's name are told, never a text
_NUMBERS: Mapping[str, str] = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "n_predict": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
}
_LONGEST = 128


class Telemetry:
    """Spans and histograms of one guard."""

    def __init__(
        self,
        *,
        host: str,
        port: int | None,
        tracers: trace.TracerProvider | None = None,
        meters: metrics.MeterProvider | None = None,
    ) -> None:
        """Take tracer and meter of the providers given, or of whatever SDK the process has; `host` and `port` are the server's."""
        self._server: dict[str, Any] = {"server.address": host, **({} if port is None else {"server.port": port})}
        self._tracer = trace.get_tracer("samplerfuzz.guard", samplerfuzz.__version__, tracers)
        meter = metrics.get_meter("samplerfuzz.guard", samplerfuzz.__version__, meters)
        self._duration = meter.create_histogram("gen_ai.client.operation.duration", "s", "Duration of a request to a model.")
        self._usage = meter.create_histogram("gen_ai.client.token.usage", "{token}", "Tokens of a request, as the server counted them.")

    @contextmanager
    def request(self, operation: str, headers: list[tuple[bytes, bytes]], data: Mapping[str, Any]) -> Iterator[Span]:
        """Have a span around a request, below the one that its headers name."""
        carrier = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
        model = data.get("model")
        named = model[:_LONGEST] if isinstance(model, str) and model else ""
        attributes = {"gen_ai.operation.name": operation, "gen_ai.provider.name": "openai", **self._server}
        if named:
            attributes["gen_ai.request.model"] = named
        for field, name in _NUMBERS.items():
            value = data.get(field)
            if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63:
                attributes[name] = value
        title = f"{operation} {named}".strip()
        with self._tracer.start_as_current_span(title, propagate.extract(carrier), SpanKind.CLIENT, attributes) as span:
            yield span

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that carry the current span to the server."""
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in carrier.items()]

    def ended(self, span: Span, *, operation: str, action: str, status: int, failure: str, seconds: float) -> None:
        """Say how a request ended."""
        span.set_attribute("samplerfuzz.guard.action", action)
        span.set_attribute("http.response.status_code", status)
        attributes = {"gen_ai.operation.name": operation, "gen_ai.provider.name": "openai", **self._server}
        if failure or status >= 400:
            attributes["error.type"] = failure or str(status)
            span.set_attribute("error.type", attributes["error.type"])
            span.set_status(Status(StatusCode.ERROR))
        self._duration.record(seconds, attributes)

    def counted(self, operation: str, usage: Mapping[str, int]) -> None:
        """Say how many tokens an answer was."""
        for kind, count in usage.items():
            attributes = {"gen_ai.operation.name": operation, "gen_ai.provider.name": "openai", "gen_ai.token.type": kind, **self._server}
            self._usage.record(count, attributes)
