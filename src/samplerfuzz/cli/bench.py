"""`samplerfuzz bench`: how fast, beside others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from samplerfuzz.cli.bench_guard import command as guard
from samplerfuzz.cli.bench_models import llama, probe
from samplerfuzz.cli.bench_monitor import command as monitor
from samplerfuzz.cli.seconds import Seconds
from samplerfuzz.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from samplerfuzz.bench.compare import Comparison

EPILOG = """\
\b
Examples:
  samplerfuzz bench samplers --quick
  samplerfuzz bench samplers --out reports/speed
  samplerfuzz bench samplers --rows 1 --vocabulary 32000 --peer llama.cpp
  samplerfuzz bench samplers --workload "top-nσ 1" --json

\b
Peers: jax (the textbook's sort, cumsum and categorical), transformers,
vllm, llama.cpp. Those that are installed are timed in the same run, the
others are named with the line that installs them. Medians, spreads and
ratios, on rows like a language model's. Every kept set and token is checked
against the float64 oracle before the clock starts.
"""


@click.group()
def command() -> None:
    """Measure speed beside others: the same rows, the same run."""


command.add_command(guard)
command.add_command(llama)
command.add_command(probe)


@command.command("samplers", epilog=EPILOG)
@click.option("--quick", is_flag=True, help="Two chains and one vocabulary, a second each.")
@click.option("--workload", "workloads", multiple=True, metavar="NAME", help="Only this chain; may be repeated.")
@click.option("--rows", multiple=True, type=click.IntRange(1, 4096), metavar="B", help="Batch size; may be repeated [default: 1 and 64].")
@click.option(
    "--vocabulary",
    "vocabularies",
    multiple=True,
    type=click.IntRange(2, 2**20),
    metavar="V",
    help="Size of the rows; may be repeated [default: 32000, 49152, 128256 and 262144].",
)
@click.option("--peer", "peers", multiple=True, metavar="NAME", help="Only this peer beside samplerfuzz; may be repeated.")
@click.option("--seconds", type=click.FloatRange(min=0), metavar="S", help="Time for each peer and line [default: 2, --quick 1].")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Seed of the rows.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option("--out", type=click.Path(path_type=Path), metavar="PATH", help="Write PATH.json, PATH.md and, with matplotlib, PATH.svg.")
def samplers(
    quick: bool,
    workloads: tuple[str, ...],
    rows: tuple[int, ...],
    vocabularies: tuple[int, ...],
    peers: tuple[str, ...],
    seconds: float | None,
    seed: int,
    as_json: bool,
    out: Path | None,
) -> None:
    """Time a sampling step, chain and draw, of samplerfuzz and of the libraries installed beside it."""
    from rich.console import Console

    from samplerfuzz.bench.compare import compare
    from samplerfuzz.bench.workloads import QUICK, ROWS, VOCABULARIES, WORKLOADS

    if out is not None and not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no directory {out.parent}; make it first")
    console = Console(stderr=as_json)
    with console.status("") as status:
        comparison = compare(
            workloads or (QUICK if quick else tuple(WORKLOADS)),
            rows or ROWS,
            vocabularies or (VOCABULARIES[:1] if quick else VOCABULARIES),
            seconds=(1.0 if quick else 2.0) if seconds is None else seconds,
            seed=seed,
            tell=status.update,
            peers=peers or None,
        )
    if as_json:
        click.echo(json.dumps(comparison.as_json(), indent=1, ensure_ascii=False))
    else:
        _print(comparison, console)
    if out is not None:
        _write(comparison, out, console)


def _print(comparison: Comparison, console: Console) -> None:
    from rich.table import Table

    from samplerfuzz.bench.document import beside, own
    from samplerfuzz.bench.peers.peer import OURS

    others = [name for name in comparison.peers if name != OURS]
    for workload in dict.fromkeys(line.workload for line in comparison.lines):
        table = Table("B", "V", OURS, *others, title=f"{workload}: ms a step", title_justify="left")
        for line in comparison.lines:
            if line.workload == workload:
                table.add_row(str(line.rows), str(line.vocabulary), own(line), *(beside(line, name) for name in others))
        console.print(table)
    machine = comparison.conditions["machine"]
    words = [
        "median ± half of what lies between the quartiles (× samplerfuzz)",
        f"{machine['processor']}, {machine['cores']} cores; load average {' and '.join(map(str, comparison.conditions['load_average']))}",
        *(f"{name} {about['version']}: {about['how']}" for name, about in comparison.peers.items()),
        *(f"skipped {item.name}: {item.why}; {item.install}" for item in comparison.absent),
    ]
    for line_of_text in words:
        console.print(line_of_text, highlight=False, markup=False)


def _write(comparison: Comparison, out: Path, console: Console) -> None:
    from samplerfuzz.bench.chart import INSTALL, can_draw, draw
    from samplerfuzz.bench.document import markdown

    chart = out.with_name(out.name + ".svg")
    if can_draw():
        draw(comparison, chart)
    else:
        console.print(f"no picture: matplotlib is not installed; {INSTALL}", highlight=False, markup=False)
    text = json.dumps(comparison.as_json(), indent=1, ensure_ascii=False) + "\n"
    out.with_name(out.name + ".json").write_text(text, encoding="utf-8")
    out.with_name(out.name + ".md").write_text(markdown(comparison, chart.name if can_draw() else ""), encoding="utf-8")


FUZZ_EPILOG = """\
\b
Examples:
  samplerfuzz bench fuzz
  samplerfuzz bench fuzz --seconds 60 --workers 1 --workers 4
  samplerfuzz bench fuzz --all --workers 2 --seconds 15
  samplerfuzz bench fuzz --json > fuzzing.json

\b
The built-in common chain and a vectorised NumPy function are fuzzed with all checks at V = 32, beside
the same properties as Hypothesis tests of one example at a time. "settled" leaves the first third of
the time out, in which kernels are compiled.
"""


@command.command("fuzz", epilog=FUZZ_EPILOG)
@click.option("--seconds", type=Seconds(), default=30.0, show_default=True, metavar="S", help="Time for each line.")
@click.option(
    "--workers", multiple=True, type=click.IntRange(min=1), metavar="N", help="Processes; may be repeated [default: 1 and all cores]."
)
@click.option("--all", "every", is_flag=True, help="Every built-in sampler, and together, instead of the common chain.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Seed of the cases.")
@click.option("--json", "as_json", is_flag=True, help="Print the rates as JSON.")
def fuzz(seconds: float, workers: tuple[int, ...], every: bool, seed: int, as_json: bool) -> None:
    """Count the (row, configuration) pairs that are thrown and judged a second."""
    from rich.console import Console
    from rich.table import Table

    from samplerfuzz.bench.fuzzing import TARGETS, every_builtin, rates
    from samplerfuzz.bench.machine import describe

    console = Console(stderr=as_json)
    with console.status("") as status:
        found = rates(
            every_builtin() if every else TARGETS,
            workers=workers or sorted({1, describe().cores}),
            seconds=seconds,
            seed=seed,
            tell=status.update,
        )
    if as_json:
        click.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    slowest = found["rates"][-1]["settled"]
    table = Table(
        "fuzzed", "workers", "pairs", "pairs/s", "settled", "× Hypothesis", title=f"V = {found['vocabulary']}", title_justify="left"
    )
    for rate in found["rates"]:
        numbers = [f"{rate[name]:,.0f}" for name in ("pairs", "overall", "settled")]
        table.add_row(rate["what"].rpartition(":")[2], str(rate["workers"]), *numbers, f"{rate['settled'] / slowest:,.0f}")
    console.print(table)
    machine = found["machine"]
    console.print(f"{machine['processor']}, {machine['cores']} cores; load average {found['load_average']}", highlight=False, markup=False)


POWER_EPILOG = """\
\b
Examples:
  samplerfuzz bench power
  samplerfuzz bench power --out reports/power
"""


@command.command("power", epilog=POWER_EPILOG)
@click.option(
    "--repeats", type=click.IntRange(min=1), default=21, show_default=True, metavar="N", help="Simulations for each size of bias."
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Seed of the simulations.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@click.option("--out", type=click.Path(path_type=Path), metavar="PATH", help="Write PATH.json, PATH.md and, with matplotlib, PATH.svg.")
def power(repeats: int, seed: int, as_json: bool, out: Path | None) -> None:
    """Count the draws that it takes to see a bias, against the size of the bias."""
    from rich.console import Console
    from rich.table import Table

    from samplerfuzz.bench import power as simulation
    from samplerfuzz.report.files import write_atomically
    from samplerfuzz.report.text import compact

    found = simulation.power(repeats=repeats, seed=seed)
    if out is not None:
        chart = out.with_name(out.name + ".svg")
        has_chart = simulation.draw(found, chart)
        write_atomically(out.with_name(out.name + ".json"), json.dumps(found, indent=1) + "\n")
        write_atomically(out.with_name(out.name + ".md"), simulation.markdown(found, chart.name if has_chart else ""))
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    table = Table("bias", *found["draws"], title="median draws to detection", title_justify="left")
    for size, draws in zip(found["sizes"], zip(*found["draws"].values(), strict=True), strict=True):
        table.add_row(f"{size:.1%}", *("–" if n is None else compact(n) for n in draws))
    Console().print(table)


command.add_command(monitor)
