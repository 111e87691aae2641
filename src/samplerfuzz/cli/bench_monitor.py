"""`samplerfuzz bench monitor`: what watching costs, and with --power how soon it tells."""

from __future__ import annotations

import json
from pathlib import Path

import click

from samplerfuzz.cli.seconds import Seconds

EPILOG = """\
\b
Examples:
  samplerfuzz bench monitor
  samplerfuzz bench monitor --model smollm2-135m --rows 1 --seconds 60
"""


@click.command("monitor", epilog=EPILOG)
@click.option("--model", default="smollm2-135m", show_default=True, metavar="MODEL", help="A name of `samplerfuzz models ls` or a path.")
@click.option("--rows", multiple=True, type=click.IntRange(1, 256), metavar="B", help="Batch size; may be repeated [default: 1].")
@click.option("--seconds", type=Seconds(), default=60.0, show_default=True, metavar="S", help="Time for each line.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@click.option("--out", type=click.Path(path_type=Path), metavar="PATH", help="Write PATH.json.")
def command(model: str, rows: tuple[int, ...], seconds: float, as_json: bool, out: Path | None) -> None:
    """Time decoding with and without the statistics of every step."""
    from rich.console import Console
    from rich.table import Table

    from samplerfuzz.bench.monitoring import overhead
    from samplerfuzz.report.files import write_atomically

    console = Console(stderr=as_json)
    with console.status("") as status:
        found = overhead(model, rows=rows or (1,), seconds=seconds, tell=status.update)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    if out is not None:
        write_atomically(out.with_name(out.name + ".json"), text + "\n")
    if as_json:
        click.echo(text)
        return
    table = Table(
        "chain", "B", "ms a step", "with statistics", "ratio", "quartiles", "of processor time", title=model, title_justify="left"
    )
    for line in found["lines"]:
        low, high = line["quartiles"]
        numbers = (
            str(line["rows"]),
            f"{line['plain_ms']:.3g}",
            f"{line['measured_ms']:.3g}",
            f"{line['ratio']:.3f}",
            f"{low:.3f} to {high:.3f}",
            f"{line['ratio_of_work']:.3f}",
        )
        table.add_row(line["chain"], *numbers)
    console.print(table)
    machine = found["machine"]
    console.print(f"{machine['processor']}, {machine['cores']} cores; load average {found['load_average']}", highlight=False, markup=False)
