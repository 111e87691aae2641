"""`samplerfuzz probe batch MODEL`."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from samplerfuzz.core.errors import UsageError

if TYPE_CHECKING:
    from samplerfuzz.probe.batch.plan import Plan

EPILOG = """\
\b
Examples:
  samplerfuzz probe batch tiny --prompts prompts.txt --temperature -0.001 --temperature 0.8
  samplerfuzz probe batch tiny --prompts prompts.txt --config configs.json --seeds 100
  samplerfuzz probe batch ./llama --prompts prompts.txt --coordinator host0:1234 --num-processes 2 --process-id 0
  samplerfuzz probe batch tiny --merge-only --report-dir reports/batch-tiny

\b
configs.json: [{"temperature": 0.8, "top_p": 0.9}, {"temperature": "-inf"}]

\b
Every prompt under every configuration with every seed is a row. Results are
written in shards as they come; a run that was killed goes on when the same
command is given again. The same rows come out, bit by bit, on one device or
eight and from one process or two; another --batch-size, --model-axis or kind
of device sums in another order, and then the last bits of numbers may differ,
and with them, rarely, a token.
"""
_SHOWN = 40


@click.command("batch", epilog=EPILOG)
@click.argument("model", default="tiny")
@click.option("--prompts", "file", type=click.Path(path_type=Path), metavar="FILE", help="A file of prompts, one a line.")
@click.option(
    "--temperature", "temperatures", type=float, multiple=True, metavar="T", help="Any real number; may be repeated [default: 1]."
)
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="Sampling configurations, JSON; each at every --temperature."
)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Seeds of each prompt and configuration."
)
@click.option("--first-seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, metavar="N", help="The first of them.")
@click.option("--max-new-tokens", type=click.IntRange(min=1), default=32, show_default=True, metavar="N", help="Length of each text.")
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=32, show_default=True, metavar="N", help="Rows a device computes at a time."
)
@click.option(
    "--model-axis",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Devices that share one copy of the weights.",
)
@click.option(
    "--dtype", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True, help="Of weights and activations."
)
@click.option("--steps", is_flag=True, help="Record entropy and surprisal of every step, not only their means.")
@click.option("--coordinator", metavar="HOST:PORT", help="Where process 0 listens, for several processes.")
@click.option("--num-processes", type=click.IntRange(min=1), metavar="N", help="How many processes there are.")
@click.option("--process-id", type=click.IntRange(min=0), metavar="I", help="Which of them this is, from 0.")
@click.option("--distributed", type=click.Choice(["auto"]), help="Let JAX find the processes: TPU pods, SLURM, Kubernetes.")
@click.option(
    "--connect-timeout", type=click.IntRange(min=1), default=300, show_default=True, metavar="S", help="How long they may take to meet."
)
@click.option("--merge-only", is_flag=True, help="Compute nothing, merge the shards of DIR.")
@click.option("--report-dir", type=click.Path(path_type=Path), metavar="DIR", help="Where results go [default: reports/batch-MODEL].")
def batch_command(
    model: str, file: Path | None, temperatures: tuple[float, ...], config: Path | None, seeds: int, first_seed: int, max_new_tokens: int,
    batch_size: int, model_axis: int, dtype: str, steps: bool, coordinator: str | None, num_processes: int | None, process_id: int | None,
    distributed: str | None, connect_timeout: int, merge_only: bool, report_dir: Path | None,
) -> None:  # fmt: skip
    """Continue many prompts under many sampling configurations on every device of every host. Writes results.jsonl, summary.json
    and a page, on which a probe of the same model in the same DIR is too."""
    from samplerfuzz.report.files import make_directory, writing

    folder = report_dir or Path("reports") / f"batch-{re.sub(r'[^A-Za-z0-9._-]+', '-', Path(model).name)}"
    if merge_only:
        _report(folder, model)
        return
    if first_seed + seeds > 2**32:
        raise UsageError(f"--first-seed {first_seed}: with --seeds {seeds} expected at most {2**32 - seeds}; a seed has 32 bits")
    prompts, configurations = _prompts(file), _configurations(config, temperatures)
    _join(coordinator, num_processes, process_id, distributed, connect_timeout)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from samplerfuzz.probe.batch import hosts

    plan, run = _prepared(
        model, prompts, configurations, list(range(first_seed, first_seed + seeds)), max_new_tokens,
        block=batch_size, model_axis=model_axis, dtype=dtype, has_steps=steps,
    )  # fmt: skip
    make_directory(folder)
    begun, first = time.monotonic(), -1
    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with writing(folder), Progress(*columns, console=Console(stderr=True), disable=not hosts.is_coordinator()) as progress:
        task = progress.add_task("", total=None)

        def tell(done: int, of: int) -> None:
            nonlocal first
            first = done if first < 0 else first
            progress.update(task, completed=done, total=of)

        run(folder, tell)
    hosts.leave()
    took = time.monotonic() - begun
    if hosts.is_coordinator():
        click.echo(f"{plan.rows - first} rows in {took:.1f} s, {(plan.rows - first) / took:.1f} a second, compiling included", err=True)
        _report(folder, model)


def _prompts(file: Path | None) -> list[str]:
    from samplerfuzz.cli.probing import read_prompts

    if file is None:
        raise UsageError("--prompts FILE: expected a file of prompts, one a line")
    return read_prompts(file)


def _configurations(config: Path | None, temperatures: tuple[float, ...]) -> list[Any]:
    from samplerfuzz.probe.batch.configurations import read_configurations, times_temperatures

    return times_temperatures([{}] if config is None else read_configurations(config), temperatures)


def _join(coordinator: str | None, num_processes: int | None, process_id: int | None, distributed: str | None, timeout: int) -> None:
    given = [item is not None for item in (coordinator, num_processes, process_id)]
    if distributed is not None and any(given):
        raise UsageError("expected --distributed auto, or --coordinator, --num-processes and --process-id; not both")
    if any(given) and not all(given):
        raise UsageError("--coordinator, --num-processes and --process-id belong together: give all three")
    if distributed is None and coordinator is None:
        return
    from samplerfuzz.probe.batch import hosts

    if coordinator is not None and num_processes is not None and process_id is not None:
        hosts.join(coordinator, num_processes, process_id, timeout=timeout)
    else:
        hosts.join_found(timeout=timeout)


def _prepared(
    model: str, prompts: list[str], configurations: list[Any], seeds: list[int], new_tokens: int, *, block: int, model_axis: int, dtype: str,
    has_steps: bool,
) -> tuple[Plan, Any]:  # fmt: skip
    """Return the plan, and what carries it out in a folder."""
    import jax

    from samplerfuzz.llama.fingerprint import model_sha256, tokenizer_sha256
    from samplerfuzz.llama.load_tokenizer import load_tokenizer
    from samplerfuzz.llama.models import resolve
    from samplerfuzz.probe.batch.plan import Plan
    from samplerfuzz.probe.batch.run import check_fits, run
    from samplerfuzz.probe.batch.sharding import load_whole, mesh_of, spread

    path = resolve(model)
    tokenizer = load_tokenizer(path)
    mesh = mesh_of(model_axis)
    encoded = [tokenizer.encode(text) for text in prompts]
    for text, ids in zip(prompts, encoded, strict=True):
        if not ids:
            raise UsageError(f"prompt {text!r}: expected at least one token, found none")
    plan = Plan(
        prompts=prompts,
        ids=encoded,
        configurations=configurations,
        seeds=seeds,
        new_tokens=new_tokens,
        block=block,
        has_steps=has_steps,
        computed_by={
            "model_sha256": model_sha256(path),
            "tokenizer_sha256": tokenizer_sha256(path),
            "dtype": dtype,
            "platform": jax.default_backend(),
            "model_axis": model_axis,
        },
    )
    loaded = load_whole(path, dtype)
    check_fits(plan, loaded.config.max_position)
    on_devices = spread(loaded, mesh)
    return plan, lambda folder, tell: run(on_devices, tokenizer, plan, folder, mesh, tell=tell)


def _report(folder: Path, model: str) -> None:
    """Merge the shards of a folder, put the batch on the page of what is there of the same model, and print it."""
    from samplerfuzz.cli.probing import written
    from samplerfuzz.probe.batch.merge import merge
    from samplerfuzz.probe.batch.plan import plan_of
    from samplerfuzz.probe.batch.shards import recorded_plan
    from samplerfuzz.report.files import writing
    from samplerfuzz.report.probe.data import batch_json

    recorded = recorded_plan(folder)
    if recorded is None:
        raise UsageError(f"--report-dir {folder}: expected the results of a batch, found no plan.json")
    plan = plan_of(recorded)
    with writing(folder):
        summary = merge(plan, folder)
    page = written(folder, batch_json(plan, summary, model=_name(model, plan)))
    _print(summary, folder)
    click.echo(f"report: {page}")


def _name(model: str, plan: Plan) -> str:
    """Return the model's name where it is the one that the shards are of, or not here to be asked; else what tells the other one."""
    from samplerfuzz.llama.fingerprint import model_sha256
    from samplerfuzz.llama.models import resolve

    computed = str(plan.computed_by.get("model_sha256", ""))
    try:
        return model if model_sha256(resolve(model)) == computed else f"model {computed[:12]}"
    except UsageError:
        return model


def _print(summary: dict[str, Any], folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from samplerfuzz.report.probe.data import configuration_label

    console = Console()
    table = Table(
        "parameters", "rows", "tokens", "ended", "looping", "distinct", "surprisal", "model's", title="nats a token", title_justify="left"
    )
    for entry in summary["configurations"][:_SHOWN]:
        means = ("" if entry[name] is None else f"{entry[name]:.3f}" for name in ("mean_surprisal", "mean_model_surprisal"))
        counts = (f"{entry[name]:,}" for name in ("rows", "tokens", "ended", "looping", "distinct_texts"))
        table.add_row(Text(configuration_label(entry["parameters"])), *counts, *means)
    console.print(table)
    more = len(summary["configurations"]) - _SHOWN
    if more > 0:
        console.print(f"and {more:,} configurations more, in summary.json", highlight=False)
    console.print(f"{summary['rows']:,} rows: {folder / 'results.jsonl'}", highlight=False, markup=False)
