"""`samplerfuzz zoo`: prove the engine on documented bugs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from samplerfuzz.cli.seconds import Seconds

if TYPE_CHECKING:
    from samplerfuzz.checks.finding import Finding
    from samplerfuzz.engine.events import Event


@click.command(
    epilog="\b\nExamples:\n  samplerfuzz zoo                 every defect, the kill matrix\n  samplerfuzz zoo LC-01 SG-05     two of them\n"
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--max-time", type=Seconds(), default=60.0, show_default=True, metavar="SECONDS", help="Time for each defect.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Seed of the runs.")
@click.option("--json", "as_json", is_flag=True, help="Print the matrix as JSON.")
def command(ids: tuple[str, ...], max_time: float, seed: int, as_json: bool) -> None:
    """Fuzz defective samplers that re-create documented bugs and print which check caught each, and when.

    Exit status 0: every one was caught; 1: one was not.
    """
    import json

    from rich.console import Console
    from rich.table import Table

    from samplerfuzz.core.errors import UsageError
    from samplerfuzz.engine.campaign import Limits
    from samplerfuzz.engine.events import INTERRUPTED, FindingFound
    from samplerfuzz.engine.run import run, select_checks
    from samplerfuzz.targets.isolated import load_target
    from samplerfuzz.zoo import DEFECTS

    unknown = [name for name in ids if name not in DEFECTS]
    if unknown:
        raise UsageError(f"unknown defect {unknown[0]!r}; known: {', '.join(sorted(DEFECTS))}")
    rows: list[dict[str, Any]] = []
    console = Console(stderr=as_json)
    for name in ids or sorted(DEFECTS):
        found: list[Finding] = []

        def listen(event: Event, found: list[Finding] = found) -> None:
            if isinstance(event, FindingFound):
                found.append(event.finding)

        begun = time.monotonic()
        with console.status(f"{name}: {DEFECTS[name].target}"):
            target = load_target(DEFECTS[name].target, time_limit=2.0)
            limits = Limits(seconds=max_time)
            status = run([target], checks=select_checks([], []), seed=seed, limits=limits, fail_on="low", listener=listen)
        target.close()
        if status == INTERRUPTED:
            raise KeyboardInterrupt
        first = found[0] if found else None
        rows.append(
            {
                "id": name,
                "caught": bool(found),
                "checks": sorted({f.violation.check for f in found}),
                "seconds": None if first is None else round(first.seconds, 2),
                "cases": None if first is None else first.cases,
                "rows": None if first is None else min(f.case.rows for f in found),
                "vocabulary": None if first is None else min(f.case.vocabulary for f in found),
                "run_seconds": round(time.monotonic() - begun, 1),
            }
        )
        verdict = "caught" if found else "NOT CAUGHT"
        console.print(f"{name:8} {verdict} {rows[-1]['seconds']} s {', '.join(rows[-1]['checks'])}", highlight=False)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        table = Table("id", "caught", "seconds", "cases", "B", "V", "checks", title="Kill matrix")
        for row in rows:
            table.add_row(*(str(row[key]) for key in ("id", "caught", "seconds", "cases", "rows", "vocabulary")), "\n".join(row["checks"]))
        console.print(table)
    raise SystemExit(0 if all(row["caught"] for row in rows) else 1)
