"""`samplerfuzz bench guard`: what the guard adds to a stream."""

from __future__ import annotations

import json
from pathlib import Path

import click

from samplerfuzz.cli.guard import need_libraries
from samplerfuzz.cli.seconds import Seconds
from samplerfuzz.core.errors import UsageError

EPILOG = """\
\b
Examples:
  samplerfuzz bench guard
  samplerfuzz bench guard --streams 1 --seconds 5
  samplerfuzz bench guard --policy policy.toml --out reports/guard

\b
A server that costs next to nothing answers streams of 16 events: asked
directly and through the guard, in turns, each in a process of its own. Times
are to the last byte; the guard watches every answer, unless --policy says
otherwise. Memory is the guard's, before the first line and after each.
"""


@click.command("guard", epilog=EPILOG)
@click.option(
    "--streams", multiple=True, type=click.IntRange(1, 512), metavar="N", help="Streams at a time; may be repeated [default: 1, 16, 128]."
)
@click.option("--seconds", type=Seconds(), default=10.0, show_default=True, metavar="S", help="Time for each side of each line.")
@click.option("--policy", type=click.Path(path_type=Path), metavar="FILE", help="Policy of the guard [default: the shipped one].")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@click.option("--out", type=click.Path(path_type=Path), metavar="PATH", help="Write PATH.json.")
def command(streams: tuple[int, ...], seconds: float, policy: Path | None, as_json: bool, out: Path | None) -> None:
    """Time streams through the guard beside the same streams without it."""
    from rich.console import Console
    from rich.table import Table

    need_libraries("bench guard")
    if out is not None and not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no directory {out.parent}; make it first")
    from samplerfuzz.bench.guarding import STREAMS, measured

    console = Console(stderr=as_json)
    with console.status("") as status:
        found = measured(streams or STREAMS, seconds=seconds, policy=policy, tell=status.update)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    if out is not None:
        out.with_name(out.name + ".json").write_text(text + "\n", encoding="utf-8")
    if as_json:
        click.echo(text)
        return
    table = Table("streams", "", "streams/s", "p50 ms", "p99 ms", title=f"{found['events']} events a stream", title_justify="left")
    for line in found["lines"]:
        for name in ("bare", "guarded"):
            side = line[name]
            table.add_row(str(line["streams"]), name, f"{side['per_second']:,.0f}", f"{side['p50']:.2f}", f"{side['p99']:.2f}")
        table.add_row("", "added", "", f"{line['added_p50']:.2f}", f"{line['added_p99']:.2f}", end_section=True)
    console.print(table)
    machine = found["machine"]
    console.print(f"memory of the guard, MiB: {found['guard_memory_mib']}", highlight=False, markup=False)
    console.print(f"{machine['processor']}, {machine['cores']} cores; load average {found['load_average']}", highlight=False, markup=False)
