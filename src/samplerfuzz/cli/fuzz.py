"""`samplerfuzz fuzz`: the main job."""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import numpy as np

    from samplerfuzz.targets.target import Target

_EXAMPLES = """
\b
Examples:
  samplerfuzz fuzz                                    the built-in samplers on the embedded model's logits
  samplerfuzz fuzz samplers.py:my_top_p               a function of yours
  samplerfuzz fuzz mypackage.sampling:sample --max-time 300 --seed 7
  samplerfuzz fuzz samplers.py:my_top_p --checks support,rows --json > report.json

\b
Exit status: 0 nothing found, 1 findings at or above --fail-on, 2 usage error,
3 nothing could be tested, 70 a bug of samplerfuzz itself, 130 interrupted.
"""


@click.command(epilog=_EXAMPLES, context_settings={"ignore_unknown_options": False})
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option(
    "--max-time",
    type=click.FloatRange(min=0.1),
    default=75.0,
    show_default=True,
    metavar="SECONDS",
    help="Time for the whole run, shared among the targets.",
)
@click.option("--max-cases", type=click.IntRange(min=1), default=None, metavar="N", help="Stop after N (row, configuration) pairs.")
@click.option("--seed", type=click.IntRange(min=0), default=None, metavar="N", help="Seed of the run (default: random, printed).")
@click.option("--checks", default="", metavar="IDS", help="Only these checks or kinds, separated by commas.")
@click.option("--exclude-checks", default="", metavar="IDS", help="Not these checks or kinds.")
@click.option(
    "--fail-on",
    type=click.Choice(["low", "medium", "high", "critical"]),
    default="medium",
    show_default=True,
    help="Lowest severity that makes the exit status 1.",
)
@click.option(
    "--report-dir", type=click.Path(file_okay=False, path_type=Path), default=None, help="Where the report goes (default: reports/<run>)."
)
@click.option(
    "--call-timeout",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="A call of the target that takes longer is a hang; its process is killed if need be.",
)
@click.option("--no-shrink", is_flag=True, help="Report findings as they were met.")
@click.option("--no-model", is_flag=True, help="Leave out the logits of the embedded model.")
@click.option("--quiet", is_flag=True, help="Print findings and one line only.")
@click.option("--json", "as_json", is_flag=True, help="Print report.json to standard output and nothing else.")
def command(
    targets: tuple[str, ...],
    max_time: float,
    max_cases: int | None,
    seed: int | None,
    checks: str,
    exclude_checks: str,
    fail_on: str,
    report_dir: Path | None,
    call_timeout: float,
    no_shrink: bool,
    no_model: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Find out whether a sampler does what its parameters promise.

    TARGET is a plain function, FILE.py:NAME or package.module:NAME: its first argument is logits [B, V], the others are
    known by name (temperature, top_k, top_p, min_p, typical_p, top_n_sigma, history, seed, u, ...). Without a target the
    built-in samplers are tested, `builtin:NAME` tests one of them.
    """
    from rich.console import Console

    from samplerfuzz.engine.campaign import Limits
    from samplerfuzz.engine.run import run, select_checks
    from samplerfuzz.report import reporters

    chosen = select_checks(_names(checks), _names(exclude_checks))
    loaded = _load(targets, call_timeout)
    started = datetime.now().astimezone()
    directory = report_dir or Path("reports") / started.strftime("%Y%m%d-%H%M%S")
    with reporters(directory, console=Console(stderr=as_json), quiet=quiet, as_json=as_json, started=started) as listener:
        status = run(
            loaded,
            checks=chosen,
            seed=secrets.randbelow(2**31) if seed is None else seed,
            limits=Limits(seconds=max_time, cases=max_cases, shrink=not no_shrink),
            fail_on=fail_on,
            listener=listener,
            real_rows=(lambda: None) if no_model else _model_rows,
        )
    raise SystemExit(status)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _load(locators: tuple[str, ...], call_timeout: float) -> list[Target]:
    from samplerfuzz.targets import builtin
    from samplerfuzz.targets.isolated import load_target

    def load(locator: str) -> Target:
        if locator.startswith(builtin.PREFIX):
            return builtin.builtin_target(locator.removeprefix(builtin.PREFIX))
        target = load_target(locator, time_limit=call_timeout)
        click.get_current_context().call_on_close(target.close)
        return target

    return [load(locator) for locator in locators or builtin.names()]


def _model_rows() -> np.ndarray:
    from samplerfuzz.cases.real import model_rows

    return model_rows()
