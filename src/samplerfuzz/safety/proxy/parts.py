"""What a guard is put together from; each is made once and shared by all requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from samplerfuzz.safety.policy import Policy
from samplerfuzz.safety.proxy.audit import AuditLog
from samplerfuzz.safety.proxy.background import Background
from samplerfuzz.safety.proxy.fidelity import Fidelity
from samplerfuzz.safety.proxy.metrics import Metrics
from samplerfuzz.safety.proxy.server_client import ServerClient
from samplerfuzz.safety.proxy.settings import Settings
from samplerfuzz.safety.proxy.state import LiveState
from samplerfuzz.safety.proxy.telemetry import Telemetry
from samplerfuzz.safety.proxy.watching import Validates, Watcher

if TYPE_CHECKING:
    from samplerfuzz.safety.monitors.anomalous import AnomalousTokenMonitor

_WAITING_LINES = 10_000


class Parts:
    """The parts of one guard."""

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        pipeline: Validates,
        *,
        anomalous: frozenset[int] = frozenset(),
        rate: AnomalousTokenMonitor | None = None,
    ) -> None:
        """Make them.

        Args:
          settings: of this guard.
          policy: that requests are held to.
          pipeline: of the validators of answers.
          anomalous: ids of the census's registry.
          rate: monitor of their share among the tokens.

        Raises:
          UsageError: the audit log cannot be opened.
        """
        self.settings, self.policy = settings, policy
        self.metrics = Metrics()
        self.state = LiveState(self.metrics, upstream=settings.upstream.url(""), policy=str(policy.source or "the shipped default"))
        self.telemetry = Telemetry(host=settings.upstream.host, port=settings.upstream.port)
        self.fidelity = Fidelity(policy, self.metrics, self.state, alpha=settings.alpha, alarmed=self._alarmed)
        self.watcher = Watcher(
            pipeline, self.metrics, self.state, anomalous=anomalous, rate=rate, fidelity=self.fidelity, alarmed=self._alarmed
        )
        self.server = ServerClient(settings)
        self.in_flight = 0
        self._audit = self._audit_thread = None
        if settings.audit is not None:
            lost = self._line_lost
            self._audit = AuditLog(settings.audit, largest=settings.audit_bytes, kept=settings.audit_files, lost=lost)
            self._audit_thread = Background("samplerfuzz-audit", longest=_WAITING_LINES, failed=lost)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Count a request as long as it takes."""
        self.in_flight += 1
        self.metrics.put("in_flight", self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1
            self.metrics.put("in_flight", self.in_flight)

    def write_down(self, entry: Mapping[str, Any]) -> None:
        """Have a line of the audit log written; a full disk, or one that is too slow, loses lines and stops nothing."""
        audit = self._audit
        if audit is None or self._audit_thread is None:
            return
        if not self._audit_thread.do(lambda: audit.write(entry)):
            self._line_lost()

    async def end(self) -> None:
        """Finish what waits and close everything."""
        self.watcher.end(5.0)
        if self._audit_thread is not None and self._audit is not None:
            self._audit_thread.end(5.0)
            self._audit.close()
        await self.server.end()

    def settle(self) -> None:
        """Return when every answer that came is examined and every line is written."""
        self.watcher.wait()
        if self._audit_thread is not None:
            self._audit_thread.wait()

    def _alarmed(self, name: str, numbers: Mapping[str, Any]) -> None:
        self.metrics.add("alarms", name)
        self.state.noticed(path="", validator=f"monitor of {name}", severity="high")
        self.write_down({"alarm": name, "evidence": {key: value for key, value in numbers.items() if not isinstance(value, str)}})

    def _line_lost(self) -> None:
        self.metrics.add("audit_lost")
