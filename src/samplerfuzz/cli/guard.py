"""`samplerfuzz guard`: a reverse proxy that holds requests to a policy and watches answers."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

from samplerfuzz.core.errors import UsageError

NEEDED = {"httpx": "httpx", "uvicorn": "uvicorn", "prometheus_client": "prometheus-client", "opentelemetry": "opentelemetry-api"}
INSTALL = "pip install 'samplerfuzz[guard]'"

EPILOG = """\
\b
Examples:
  samplerfuzz guard --upstream http://127.0.0.1:8080
  samplerfuzz guard --upstream http://127.0.0.1:8080 --policy policy.toml
  samplerfuzz guard --upstream http://127.0.0.1:8080 --registry registry.json
  samplerfuzz guard --print-dashboard > grafana.json

\b
Clients talk to the guard as they did to the server. What the policy refuses
is answered 400 and never reaches the server; what it clamps is rewritten and
says so in the header x-samplerfuzz-decision; all else goes through byte for
byte, streams included. Paths that are not known are 404: --allow "GET /slots".

\b
Its own pages: / (live), /metrics, /-/healthz, /-/readyz, /-/state.json. They
show no prompt; with --admin they are on an address of their own.
SIGTERM and Ctrl-C let what is under way end; exit status 0.
"""


@click.command(epilog=EPILOG)
@click.option("--upstream", "upstream_url", metavar="URL", help="The server: its address, without /v1.")
@click.option(
    "--policy", "policy_file", type=click.Path(path_type=Path), metavar="FILE", help="What may be asked [default: the safe ranges]."
)
@click.option("--registry", type=click.Path(path_type=Path), metavar="FILE", help="registry.json of `probe census`: tokens to count.")
@click.option(
    "--usual-rate",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=1e-3,
    show_default=True,
    metavar="SHARE",
    help="Share of those tokens that is no alarm.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=1e-4,
    show_default=True,
    metavar="P",
    help="Bound on the chance of a false alarm, ever.",
)
@click.option("--listen", default="127.0.0.1:8090", show_default=True, metavar="HOST:PORT", help="Where clients connect.")
@click.option("--admin", metavar="HOST:PORT", help="Another address for the guard's own pages.")
@click.option("--metrics-path", default="/metrics", show_default=True, metavar="PATH", help="Where metrics are, besides /-/metrics.")
@click.option("--allow", "allowed", multiple=True, metavar="RULE", help='Let a path by unread, "GET /slots"; may be repeated.')
@click.option("--audit", type=click.Path(path_type=Path), metavar="FILE", help="Write decisions as JSON lines; no prompt is among them.")
@click.option("--audit-size", type=click.IntRange(min=1024), default=16 * 2**20, metavar="BYTES", help="Begin a new file then [16 MiB].")
@click.option("--audit-files", type=click.IntRange(1, 1000), default=5, show_default=True, metavar="N", help="Keep so many old ones.")
@click.option("--max-body", type=click.IntRange(min=1), default=8 * 2**20, metavar="BYTES", help="Largest request [8 MiB].")
@click.option(
    "--max-concurrency", type=click.IntRange(min=1), default=256, show_default=True, metavar="N", help="Requests at a time; more: 503."
)
@click.option(
    "--silent-timeout", type=click.FloatRange(min=0.1), default=300.0, show_default=True, metavar="S", help="Longest silence of the server."
)
@click.option("--total-timeout", type=click.FloatRange(min=0.1), default=1800.0, show_default=True, metavar="S", help="Longest answer.")
@click.option(
    "--drain",
    type=click.FloatRange(min=1),
    default=30.0,
    show_default=True,
    metavar="S",
    help="Wait so long for what is under way at the end.",
)
@click.option("--print-dashboard", is_flag=True, help="Print a Grafana dashboard of the metrics, and end.")
def command(
    upstream_url: str | None,
    policy_file: Path | None,
    registry: Path | None,
    usual_rate: float,
    alpha: float,
    listen: str,
    admin: str | None,
    metrics_path: str,
    allowed: tuple[str, ...],
    audit: Path | None,
    audit_size: int,
    audit_files: int,
    max_body: int,
    max_concurrency: int,
    silent_timeout: float,
    total_timeout: float,
    drain: float,
    print_dashboard: bool,
) -> None:
    """Stand in front of a server of language models: hold requests to a policy, watch answers."""
    need_libraries("guard")
    if print_dashboard:
        from samplerfuzz.safety.proxy.dashboard import text

        click.echo(text(), nl=False)
        return
    if upstream_url is None:
        raise UsageError("--upstream is missing: the address of the server to guard, as in --upstream http://127.0.0.1:8080")
    if not metrics_path.startswith("/"):
        raise UsageError(f"--metrics-path {metrics_path!r}: expected a path that begins with a slash")

    from samplerfuzz.safety.policy_file import load_policy
    from samplerfuzz.safety.proxy.assembly import assembled
    from samplerfuzz.safety.proxy.endpoints import LET_BY, rule
    from samplerfuzz.safety.proxy.serving import address, listening, serve
    from samplerfuzz.safety.proxy.settings import Limits, Settings, upstream

    settings = Settings(
        upstream=upstream(upstream_url),
        limits=Limits(
            body=max_body, concurrency=max_concurrency, silent_seconds=silent_timeout, total_seconds=total_timeout, drain_seconds=drain
        ),
        let_by=frozenset((*LET_BY, *map(rule, allowed))),
        metrics_path=metrics_path,
        own_pages=admin is None,
        audit=audit,
        audit_bytes=audit_size,
        audit_files=audit_files,
        usual_rate=usual_rate,
        alpha=alpha,
    )
    policy = load_policy(policy_file)
    parts = assembled(settings, policy, registry=registry)
    sock = listening(*address(listen, "--listen"), "--listen")
    pages = None if admin is None else listening(*address(admin, "--admin"), "--admin")
    where = _url(sock.getsockname())
    click.echo(
        f"guarding {settings.upstream.url('')} at {where}; live page {where if pages is None else _url(pages.getsockname())}", err=True
    )
    serve(parts, sock, admin=pages, started=lambda: click.echo("ready", err=True))


def need_libraries(verb: str) -> None:
    """Raise UsageError with the line that installs what is missing."""
    missing = [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(f"{verb} needs {', '.join(missing)}; {INSTALL}")


def _url(name: tuple[str, int]) -> str:
    host, port = name[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
