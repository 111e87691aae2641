"""How one guard is run: where the server is, and what a request may cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from samplerfuzz.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one request, and all together, may take. Sizes in bytes, times in seconds.

    Attributes:
      body: of a request.
      header: line and headers of a request.
      depth: of arrays and objects in one another.
      concurrency: requests under way; the next one is answered 503.
      head_seconds: until line and headers are there.
      body_seconds: until the body is there.
      connect_seconds: until the server has taken a connection.
      silent_seconds: between two pieces of an answer; how long the first may take too.
      total_seconds: from the first byte to the last.
      drain_seconds: for what is under way when the guard is told to end.
    """

    body: int = 8 * 2**20
    header: int = 64 * 2**10
    depth: int = 64
    concurrency: int = 256
    head_seconds: float = 20.0
    body_seconds: float = 30.0
    connect_seconds: float = 5.0
    silent_seconds: float = 300.0
    total_seconds: float = 1800.0
    drain_seconds: float = 30.0


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """The one server that requests are sent to.

    Attributes:
      scheme, host, port: of its address.
      base: what its paths begin with, without a slash at the end.
    """

    scheme: str
    host: str
    port: int | None
    base: str = ""

    @property
    def authority(self) -> str:
        """Host and port, as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def url(self, path: str, query: str = "") -> str:
        """Return the address of a path of the server."""
        return f"{self.scheme}://{self.authority}{self.base}{path}{'?' + query if query else ''}"


def upstream(url: str) -> Upstream:
    """Return the server that `url` names.

    Raises:
      UsageError: it is no plain http or https address.

    >>> upstream("http://127.0.0.1:8080/").url("/v1/models")
    'http://127.0.0.1:8080/v1/models'
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"--upstream {url}: {error}; expected an address such as http://127.0.0.1:8080") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise UsageError(f"--upstream {url}: expected http:// or https://, a host and nothing after the path, as in http://127.0.0.1:8080")
    base = parts.path.rstrip("/")
    if base.endswith("/v1"):
        raise UsageError(f"--upstream {url}: leave /v1 off: the paths of the clients, such as /v1/completions, are put behind the address")
    return Upstream(scheme=parts.scheme, host=parts.hostname, port=port, base=base)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One guard.

    Attributes:
      upstream: the server.
      limits: what a request may cost.
      let_by: rules "METHOD /path" that are sent on unread.
      metrics_path: where metrics are, besides /-/metrics.
      own_pages: whether /, /metrics and /-/ are answered beside the server's paths (False: on an address of their own).
      audit: file of the decisions, or None.
      audit_bytes, audit_files: size at which a new one is begun, and how many old ones are kept.
      usual_rate: share of anomalous tokens that is usual, in (0, 1): more of them is what the alarm is for.
      alpha: bound on the probability that the alarm is ever a false one.
      logprobs_count: how many log-probabilities a position are asked for where the policy allows it.
    """

    upstream: Upstream
    limits: Limits = Limits()
    let_by: frozenset[str] = frozenset()
    metrics_path: str = "/metrics"
    own_pages: bool = True
    audit: Path | None = None
    audit_bytes: int = 16 * 2**20
    audit_files: int = 5
    usual_rate: float = 1e-3
    alpha: float = 1e-4
    logprobs_count: int = 5
