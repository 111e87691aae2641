"""`samplerfuzz zoo`: prove the engine on documented bugs."""

from __future__ import annotations

from pathlib import Path

import click

from samplerfuzz.cli.seconds import Seconds
from samplerfuzz.core.errors import UsageError

_EXAMPLES = """\
\b
Examples:
  samplerfuzz zoo                      every defect, the kill matrix
  samplerfuzz zoo LC-01 SG-05          two of them
  samplerfuzz zoo --markdown ZOO.md    the matrix as a document
"""


@click.command(epilog=_EXAMPLES)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--max-time", type=Seconds(), default=60.0, show_default=True, metavar="SECONDS", help="Time for each defect.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Seed of the runs.")
@click.option("--json", "as_json", is_flag=True, help="Print the matrix as JSON.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), default=None, metavar="FILE", help="Write the matrix there.")
def command(ids: tuple[str, ...], max_time: float, seed: int, as_json: bool, markdown: Path | None) -> None:
    """Fuzz defective samplers that re-create documented bugs and print which check caught each, and when.

    Exit status 0: every one was caught; 1: one was not.
    """
    from rich.console import Console
    from rich.table import Table

    from samplerfuzz.report.files import write_atomically
    from samplerfuzz.zoo import DEFECTS
    from samplerfuzz.zoo.matrix import Kill, kill, matrix_json, matrix_markdown

    if unknown := [name for name in ids if name not in DEFECTS]:
        raise UsageError(f"unknown defect {unknown[0]!r}; known: {', '.join(sorted(DEFECTS))}")
    chosen = ids or tuple(sorted(DEFECTS))
    console = Console(stderr=as_json)
    kills: list[Kill] = []
    for number, name in enumerate(chosen, 1):
        with console.status(f"{number}/{len(chosen)}  {name}  {DEFECTS[name].description}"):
            kills.append(kill(DEFECTS[name], seconds=max_time, seed=seed))
        last = kills[-1]
        verdict = f"[green]caught[/]     {last.seconds:6.2f} s" if last.caught else "[bold red]NOT CAUGHT[/]         "
        console.print(f"{number:3}/{len(chosen)}  {name:7} {verdict}  {', '.join(last.checks)}", highlight=False, soft_wrap=True)
    if markdown is not None:
        write_atomically(markdown, matrix_markdown(kills, seconds=max_time, seed=seed))
    if as_json:
        click.echo(matrix_json(kills))
    else:
        table = Table("id", "caught", "seconds", "pairs", "B", "V", "checks", title="Kill matrix")
        for k in kills:
            numbers = ["" if n is None else str(n) for n in (k.seconds, k.cases, k.rows, k.vocabulary)]
            table.add_row(k.id, "yes" if k.caught else "NO", *numbers, "\n".join(k.checks))
        console.print(table)
        console.print(f"{sum(k.caught for k in kills)} of {len(kills)} caught", highlight=False)
    raise SystemExit(0 if all(k.caught for k in kills) else 1)
