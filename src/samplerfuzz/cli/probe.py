"""`samplerfuzz probe MODEL`: the whole of it, or one experiment: atlas, census, replicate, batch."""

from __future__ import annotations

import json
from pathlib import Path

import click

from samplerfuzz.cli.atlas import TEMPERATURES, atlas_command, map_temperatures, print_atlas
from samplerfuzz.cli.batch import batch_command
from samplerfuzz.cli.census import census_command, print_census, take_census
from samplerfuzz.cli.probing import (
    FEW,
    PROMPTS,
    asked_prompts,
    dtype_option,
    folder_of,
    opened,
    prompt_options,
    report_dir_option,
    written,
)
from samplerfuzz.cli.replicate import print_replication, repeat_experiment, replicate_command

EPILOG = """\
\b
Examples:
  samplerfuzz probe tiny
  samplerfuzz probe smollm2-135m --quick
  samplerfuzz probe ./my-model.gguf --prompts prompts.txt --report-dir reports/mine
  samplerfuzz probe census smollm2-135m
  samplerfuzz probe batch tiny --prompts prompts.txt --temperature -1

\b
A run that was stopped, or killed, goes on when the same command is given again.
Exit status: 0 every law of temperature holds, 1 one is broken, 2 usage error.
"""
WHOLE = "whole"


class ModelOrExperiment(click.Group):
    """A group that takes its first word for a model where it names no experiment."""

    default = WHOLE

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name of the whole before a model."""
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


@click.group(cls=ModelOrExperiment, epilog=EPILOG, subcommand_metavar="[MODEL | EXPERIMENT [ARGS]...]")
def command() -> None:
    """Ask what a model does at the limits of temperature, and which of its tokens it does not know.

    With a MODEL: the atlas, the census and the replication, on one page. With the name of an experiment: that one.
    """


for experiment in (atlas_command, census_command, replicate_command, batch_command):
    command.add_command(experiment)


@command.command(WHOLE, epilog=EPILOG, hidden=True)
@click.argument("model", default="tiny")
@prompt_options
@click.option("--quick", is_flag=True, help="A few prompts, short texts and a small census: a first look, not evidence.")
@dtype_option
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Seed of everything that is drawn.")
@report_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print all data as JSON besides.")
def whole_command(
    model: str, given: tuple[str, ...], file: Path | None, quick: bool, dtype: str, seed: int, report_dir: Path | None, as_json: bool
) -> int:
    """Probe MODEL: the atlas, the census and the replication, on one page."""
    from samplerfuzz.probe.census.census import Plan

    loaded, tokenizer, path = opened(model, dtype)
    folder = folder_of(report_dir, model)
    texts = 8 if quick else 64
    found, atlas = map_temperatures(
        loaded, tokenizer, model, asked_prompts(given, file, FEW[:3] if quick else FEW),
        temperatures=TEMPERATURES, new_tokens=min(texts, 24), seed=seed,
    )  # fmt: skip
    written(folder, atlas)
    if not as_json:
        print_atlas(found, atlas)
    plan = Plan(seed=seed, share=0.01, controls=200, contexts=256) if quick else Plan(seed=seed)
    census, _ = take_census(loaded, tokenizer, model, path, plan, folder)
    if not as_json:
        print_census(census)
    prompts = asked_prompts(given, file, FEW if quick else PROMPTS)
    asked = {"examined": 24, "instructions": 1} if quick else {}
    replication = repeat_experiment(loaded, tokenizer, model, prompts, new_tokens=texts, seed=seed, **asked)
    page = written(folder, replication)
    if as_json:
        click.echo(json.dumps({"atlas": atlas, "census": census, "replication": replication}, ensure_ascii=True, allow_nan=False))
    else:
        print_replication(replication)
        click.echo(f"report: {page}")
    return int(bool(found.broken))
