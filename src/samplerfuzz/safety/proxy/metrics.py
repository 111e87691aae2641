"""The numbers that Prometheus collects: their names, what they mean, and a registry of their own for every guard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from samplerfuzz.core.registry import parameter_owners

PREFIX = "samplerfuzz_guard"
OTHER = "other"
_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
_LONG = (0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_NATS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """One metric: its kind, what it counts, and by what."""

    kind: type
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


# the names on the wire are these behind samplerfuzz_guard_; a counter's ends in _total
MEANINGS: dict[str, Meaning] = {
    "requests": Meaning(kind=Counter, help="Requests whose settings were judged, by path and decision.", labels=("path", "action")),
    "passed_requests": Meaning(
        kind=Counter, help="Requests on paths that are let by unread, and those to paths that are not there (404, 405).", labels=("status",)
    ),
    "responses": Meaning(kind=Counter, help="Answers to judged requests, by status.", labels=("status",)),
    "temperature_requests": Meaning(kind=Counter, help="Judged requests that name a temperature."),
    "temperature_anomalies": Meaning(
        kind=Counter, help="Judged requests with a temperature outside what the policy allows, whatever became of them."
    ),
    "rejects": Meaning(kind=Counter, help="Refused requests, by parameter and reason.", labels=("parameter", "reason")),
    "clamps": Meaning(kind=Counter, help="Parameters that were clamped.", labels=("parameter",)),
    "flags": Meaning(kind=Counter, help="What was noticed and let by, by parameter and validator.", labels=("parameter", "reason")),
    "watched_answers": Meaning(kind=Counter, help="Answers that were read and examined."),
    "unwatched_answers": Meaning(kind=Counter, help="Answers that were to be examined and were not, by reason.", labels=("reason",)),
    "tokens": Meaning(kind=Counter, help="Tokens of watched answers whose ids are known."),
    "anomalous_tokens": Meaning(kind=Counter, help="Those of them that the registry of the census lists."),
    "answer_anomalies": Meaning(
        kind=Counter, help="Results of medium or high severity on watched answers, by validator.", labels=("validator",)
    ),
    "distribution_anomalies": Meaning(kind=Counter, help="Results of the distribution monitor of medium or high severity."),
    "alarms": Meaning(kind=Counter, help="Alarms of the monitors that hold at any time, by monitor.", labels=("monitor",)),
    "e_value": Meaning(kind=Gauge, help="Natural logarithm of the e-value of each monitor that holds at any time.", labels=("monitor",)),
    "law_positions": Meaning(kind=Counter, help="Tokens that were held against the law that they are drawn by."),
    "law_skipped": Meaning(
        kind=Counter, help="Tokens told with log-probabilities that were not, by the reason why their law is not known.", labels=("reason",)
    ),
    "temperature_factor": Meaning(
        kind=Gauge,
        help="Temperature that the tokens show over the declared one, and the bounds that it keeps at all times.",
        labels=("bound",),
    ),
    "entropy_nats": Meaning(
        kind=Histogram, help="Entropy of the next token where the listed log-probabilities hold 99 % of it.", buckets=_NATS
    ),
    "logprobs_requests": Meaning(kind=Counter, help="Requests for which the guard asked for log-probabilities itself."),
    "added_seconds": Meaning(kind=Histogram, help="Time that the guard took of its own before the server was asked.", buckets=_SECONDS),
    "duration_seconds": Meaning(
        kind=Histogram, help="Time from a judged request to the end of its answer.", labels=("path",), buckets=_LONG
    ),
    "upstream_errors": Meaning(kind=Counter, help="Requests that the server did not answer as it should, by kind.", labels=("kind",)),
    "client_disconnects": Meaning(kind=Counter, help="Clients that went before their answer ended."),
    "overloads": Meaning(kind=Counter, help="Requests answered 503 because too many were under way."),
    "guard_errors": Meaning(kind=Counter, help="Failures of the guard's own parts, by part.", labels=("part",)),
    "audit_lost": Meaning(kind=Counter, help="Lines of the audit log that could not be written."),
    "in_flight": Meaning(kind=Gauge, help="Requests under way."),
}


def exported(name: str) -> tuple[str, ...]:
    """Return the names under which a metric is on the wire.

    >>> exported("rejects"), exported("in_flight")
    (('samplerfuzz_guard_rejects_total',), ('samplerfuzz_guard_in_flight',))
    """
    kind, full = MEANINGS[name].kind, f"{PREFIX}_{name}"
    return (
        (f"{full}_total",)
        if kind is Counter
        else tuple(f"{full}_{end}" for end in ("bucket", "sum", "count"))
        if kind is Histogram
        else (full,)
    )


class Metrics:
    """The metrics of one guard."""

    def __init__(self) -> None:
        """Make them, all at zero."""
        self.registry = CollectorRegistry()
        self._known = frozenset(parameter_owners())
        self._made: dict[str, Any] = {name: self._make(name, meaning) for name, meaning in MEANINGS.items()}

    def add(self, name: str, *labels: str, amount: float = 1) -> None:
        """Raise a counter."""
        counter = self._made[name]
        (counter.labels(*labels) if labels else counter).inc(amount)

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Put a value into a histogram."""
        histogram = self._made[name]
        (histogram.labels(*labels) if labels else histogram).observe(value)

    def put(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge."""
        gauge = self._made[name]
        (gauge.labels(*labels) if labels else gauge).set(value)

    def label(self, parameter: str | None) -> str:
        """Return the parameter as a label: a client does not make up labels.

        >>> Metrics().label("temperature"), Metrics().label("x" * 1000)
        ('temperature', 'other')
        """
        return parameter if parameter in self._known else OTHER

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of a counter or gauge over those of its series that have these labels."""
        ends = "" if MEANINGS[name].kind is Gauge else "_total"
        samples = (sample for metric in self._made[name].collect() for sample in metric.samples)
        return sum(s.value for s in samples if s.name.endswith(ends) and "_created" not in s.name and labels.items() <= s.labels.items())

    def text(self) -> tuple[bytes, str]:
        """Return all of them as Prometheus reads them, and the type of that."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def _make(self, name: str, meaning: Meaning) -> Any:
        options = {"buckets": meaning.buckets} if meaning.buckets else {}
        made: Counter | Gauge | Histogram = meaning.kind(
            f"{PREFIX}_{name}", meaning.help, meaning.labels, registry=self.registry, **options
        )
        return made
