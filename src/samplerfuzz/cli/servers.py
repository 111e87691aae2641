"""`samplerfuzz fuzz http://...`: a run against servers."""

from __future__ import annotations

import contextlib
import platform
import secrets
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from samplerfuzz.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks for; see its options."""

    urls: Sequence[str]
    checks: Sequence[str]
    excluded: Sequence[str]
    max_time: float
    max_cases: int | None
    seed: int | None
    fail_on: str
    directory: Path | None
    call_timeout: float
    workers: int
    max_rate: int | None
    allow_network: bool
    start: str | None
    accepted: Mapping[str, str]
    quiet: bool
    as_json: bool


def refuse_unsuited(targets: Sequence[str], urls: Collection[str], given: Mapping[str, bool]) -> None:
    """Make sure that a run against servers is asked for nothing that it cannot do.

    Raises:
      UsageError: another target beside a server, or an option of plain functions.
    """
    others = [target for target in targets if target not in urls]
    if others:
        raise UsageError(f"{others[0]} is no server, and {next(iter(urls))} is one; fuzz them in two runs")
    for option, is_given in given.items():
        if is_given:
            raise UsageError(f"{option} means nothing to a server; leave it out")


def fuzz_servers(wanted: Wanted) -> int:
    """Fuzz every server and return the exit status.

    Raises:
      UsageError: a server that does not answer, on another machine, or that completes nothing; a directory that holds a run.
    """
    from rich.console import Console

    import samplerfuzz
    from samplerfuzz.checks.http.claims import select_claims
    from samplerfuzz.cli.resuming import new_directory, unfinished_run
    from samplerfuzz.engine.events import INTERRUPTED, RunFinished, RunStarted, TargetFinished
    from samplerfuzz.engine.interrupts import Interrupts
    from samplerfuzz.engine.run import exit_status
    from samplerfuzz.report import reporters
    from samplerfuzz.targets.http.client import Client
    from samplerfuzz.targets.http.locators import checked_url
    from samplerfuzz.targets.http.probe import probe
    from samplerfuzz.targets.http.started import StartedServer

    claims = select_claims(wanted.checks, wanted.excluded)
    urls = [checked_url(url, allow_network=wanted.allow_network) for url in wanted.urls]
    if wanted.directory is not None and unfinished_run(wanted.directory)[1] is not None:
        raise UsageError(f"{wanted.directory} holds an unfinished run; one against a server cannot go on: name another --report-dir")
    if wanted.start is not None and len(urls) > 1:
        raise UsageError(f"--start starts one server, and {len(urls)} URLs are given; fuzz them in {len(urls)} runs")
    seed = secrets.randbelow(2**31) if wanted.seed is None else wanted.seed
    started, begun = datetime.now().astimezone(), time.monotonic()
    console = Console(stderr=wanted.as_json)
    back = 5.0 if wanted.start is None else 1.0  # what is started here does not come back by itself
    clients = [Client(url, seconds=wanted.call_timeout, at_once=wanted.workers, per_second=wanted.max_rate, back=back) for url in urls]
    directory = wanted.directory or new_directory(started)
    results: list[TargetFinished] = []
    was_interrupted = False
    with contextlib.ExitStack() as stack:
        server = None if wanted.start is None else stack.enter_context(StartedServer(wanted.start, urls[0], directory / "server.log"))
        known = [probe(client) for client in clients]
        listener = stack.enter_context(reporters(directory, console=console, quiet=wanted.quiet, as_json=wanted.as_json, started=started))
        interrupts = stack.enter_context(Interrupts())
        settings = {
            "seed": seed,
            "start": wanted.start,
            "max_time": wanted.max_time,
            "max_cases": wanted.max_cases,
            "fail_on": wanted.fail_on,
            "checks": sorted(claims),
            "accepted": dict(wanted.accepted),
            "workers": wanted.workers,
            "call_timeout": wanted.call_timeout,
            "python": platform.python_version(),
            "samplerfuzz": samplerfuzz.__version__,
            "sources": {},
            "capabilities": {url: dict(item.table()) for url, item in zip(urls, known)},
        }
        listener(RunStarted(targets=tuple(urls), settings=settings))
        for client, capabilities in zip(clients, known):
            if not wanted.quiet:
                _show(console, client.url, capabilities.table())
            with contextlib.closing(client):
                campaign, sources = _campaign(wanted, client, capabilities, claims, seed, listener, interrupts, server)
                try:
                    finished = campaign.run(sources)
                except KeyboardInterrupt:
                    was_interrupted, finished = True, campaign.finished(complete=False)
            listener(finished)
            results.append(finished)
            if was_interrupted:
                break
        findings = tuple(finding for result in results for finding in result.findings)
        status, reason = exit_status(results, findings, wanted.accepted, wanted.fail_on, was_interrupted)
        listener(RunFinished(status=status, reason=reason, seconds=time.monotonic() - begun, findings=findings))
    return INTERRUPTED if interrupts.count else status


def _campaign(
    wanted: Wanted, client: Any, known: Any, claims: Mapping[str, Any], seed: int, listener: Any, interrupts: Any, server: Any
) -> tuple[Any, list[Iterator[Any]]]:
    from samplerfuzz.checks.http.contract import contract
    from samplerfuzz.checks.http.seeds import seeds_and_choices
    from samplerfuzz.checks.http.support import chain_spec, support, tells_enough
    from samplerfuzz.core.seeding import stream
    from samplerfuzz.engine.served import ServedCampaign
    from samplerfuzz.targets.http.exchange import Request
    from samplerfuzz.targets.target import TargetSpec

    url = client.url
    sources: list[Iterator[Any]] = [seeds_and_choices(known, client.send), contract(known)]
    if tells_enough(known):
        spec = chain_spec(url, known)
        sources.append(support(known, spec, client.send, stream(seed, "server")))
    else:
        spec = TargetSpec(name=url, locator=url, order=(), parameters=(), returns="tokens")
    endpoint = next(iter(known.parameters))
    campaign = ServedCampaign(
        client,
        spec=spec,
        claims=claims.values(),
        ordinary=Request.of(endpoint, known.body(endpoint)),
        seconds=wanted.max_time / len(wanted.urls),
        cases=wanted.max_cases,
        listener=listener,
        check=interrupts.check,
        restart=lambda: server is not None and server.restart(interrupts.check),
    )
    return campaign, sources


def _show(console: Any, url: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print what a server was found to do."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from samplerfuzz.report.text import printable

    table = Table(box=box.SIMPLE_HEAD, show_header=False, title=Text(printable(url)), title_justify="left")
    for name, value in rows:
        table.add_row(Text(printable(name), style="dim"), Text(printable(value)))
    console.print(table)
