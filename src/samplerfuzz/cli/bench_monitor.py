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
  samplerfuzz bench monitor --power --out reports/monitor-power

\b
--power puts samplers of known faults into a loop over rows of the embedded
model and counts the tokens until a monitor raises its alarm, at a false-alarm
rate of 1e-4 for as long as it watches; correct samplers run beside them.
"""


@click.command("monitor", epilog=EPILOG)
@click.option("--model", default="smollm2-135m", show_default=True, metavar="MODEL", help="A name of `samplerfuzz models ls` or a path.")
@click.option("--rows", multiple=True, type=click.IntRange(1, 256), metavar="B", help="Batch size; may be repeated [default: 1].")
@click.option("--seconds", type=Seconds(), default=60.0, show_default=True, metavar="S", help="Time for each line.")
@click.option("--power", is_flag=True, help="Count the tokens until faulty samplers are told instead.")
@click.option("--repeats", type=click.IntRange(min=1), default=7, show_default=True, metavar="N", help="With --power: runs of each fault.")
@click.option(
    "--most",
    type=click.IntRange(min=64),
    default=2**17,
    show_default=True,
    metavar="N",
    help="With --power: tokens after which a run gives up.",
)
@click.option(
    "--correct",
    type=click.IntRange(min=64),
    default=2**18,
    show_default=True,
    metavar="N",
    help="With --power: tokens of each correct sampler.",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="With --power: seed of the draws.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Write PATH.json; with --power PATH.md and, with matplotlib, PATH.svg too.",
)
def command(
    model: str, rows: tuple[int, ...], seconds: float, power: bool, repeats: int, most: int, correct: int, seed: int, as_json: bool, out: Path | None
) -> None:  # fmt: skip
    """Time decoding with and without the statistics of every step, or count the tokens until a fault is told."""
    if power:
        _power(repeats=repeats, most=most, correct=correct, seed=seed, as_json=as_json, out=out)
    else:
        _overhead(model, rows, seconds, as_json=as_json, out=out)


def _power(*, repeats: int, most: int, correct: int, seed: int, as_json: bool, out: Path | None) -> None:
    from rich.console import Console

    from samplerfuzz.bench import detection_report
    from samplerfuzz.bench.detection import measure
    from samplerfuzz.report.files import write_atomically

    console = Console(stderr=as_json)
    with console.status("") as status:
        found = measure(most=most, repeats=repeats, tokens=correct, seed=seed, tell=status.update)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    if out is not None:
        chart = out.with_name(out.name + ".svg")
        has_chart = detection_report.draw(found, chart)
        write_atomically(out.with_name(out.name + ".json"), text + "\n")
        write_atomically(out.with_name(out.name + ".md"), detection_report.markdown(found, chart.name if has_chart else ""))
    if as_json:
        click.echo(text)
        return
    for table in detection_report.tables(found):
        console.print(table)


def _overhead(model: str, rows: tuple[int, ...], seconds: float, *, as_json: bool, out: Path | None) -> None:
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
