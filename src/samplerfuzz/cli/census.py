"""`samplerfuzz probe census MODEL`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from samplerfuzz.cli.probing import PROMPTS, folder_of, opened, report_dir_option, written
from samplerfuzz.core.errors import UsageError

if TYPE_CHECKING:
    from samplerfuzz.llama.model import LlamaModel
    from samplerfuzz.llama.tokenizer import Tokenizer
    from samplerfuzz.probe.census.census import Census, Plan

EPILOG = """\
\b
Examples:
  samplerfuzz probe census tiny
  samplerfuzz probe census smollm2-135m --report-dir reports/mine
  samplerfuzz probe census ./my-model --everyone

\b
A run that was stopped, or killed, goes on when the same command is given again.
"""


@click.command("census", epilog=EPILOG)
@click.argument("model", default="tiny")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.05,
    show_default=True,
    metavar="S",
    help="The lowest share by each indicator is asked.",
)
@click.option(
    "--controls", type=click.IntRange(min=1), default=3000, show_default=True, metavar="N", help="Ids drawn at random that are asked too."
)
@click.option("--everyone", is_flag=True, help="Ask every id of the vocabulary.")
@click.option(
    "--contexts",
    type=click.IntRange(min=1),
    default=1024,
    show_default=True,
    metavar="N",
    help="Contexts over which least likely tokens are counted.",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Of controls and contexts.")
@report_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON besides.")
def census_command(
    model: str, share: float, controls: int, everyone: bool, contexts: int, seed: int, report_dir: Path | None, as_json: bool
) -> None:
    """Score every token of MODEL by its embedding, ask the suspicious ones and random others for themselves, and list those that
    the model cannot say. Writes registry.json, census.json, report.html and answers.jsonl."""
    from samplerfuzz.probe.census.census import Plan

    loaded, tokenizer, path = opened(model)
    folder = folder_of(report_dir, model)
    plan = Plan(share=share, controls=controls, everyone=everyone, contexts=contexts, seed=seed)
    data, page = take_census(loaded, tokenizer, model, path, plan, folder)
    if as_json:
        click.echo(json.dumps(data, ensure_ascii=True, allow_nan=False))
        return
    print_census(data)
    click.echo(f"registry: {folder / 'registry.json'}\nreport: {page}")


def take_census(model: LlamaModel, tokenizer: Tokenizer, name: str, path: Path, plan: Plan, folder: Path) -> tuple[dict[str, Any], Path]:
    """Take the census, or go on with the one in `folder`; return its data and the page."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from samplerfuzz.llama.models import DEFAULT, find
    from samplerfuzz.probe.census.census import census
    from samplerfuzz.report.probe.data import census_json

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=None)
        found = census(
            model, tokenizer, PROMPTS[:8], plan=plan, file=folder / "answers.jsonl",
            tell=lambda stage, done, of: progress.update(task, description=stage, completed=done, total=of),
        )  # fmt: skip
    try:
        _write_registry(folder, found, name, path, tokenizer)
    except OSError as error:
        raise UsageError(f"--report-dir {folder}: cannot be written ({error.strerror})") from error
    truth = _truth(found) if path == find(DEFAULT).path else None
    data = census_json(found, model=name, show=tokenizer.token_text, truth=truth)
    return data, written(folder, data)


def _write_registry(folder: Path, found: Census, model: str, path: Path, tokenizer: Tokenizer) -> None:
    from samplerfuzz.llama.fingerprint import model_sha256, tokenizer_sha256
    from samplerfuzz.probe.census.registry import AnomalousTokens
    from samplerfuzz.probe.census.verification import THRESHOLD

    most = dict(zip(found.asked.ids.tolist(), found.asked.most.tolist(), strict=True))
    registry = AnomalousTokens(
        model=model,
        model_sha256=model_sha256(path),
        tokenizer_sha256=tokenizer_sha256(path),
        threshold=THRESHOLD,
        tokens={int(i): most[int(i)] for i in found.anomalous},
        texts={int(i): tokenizer.token_text(int(i)) for i in found.anomalous},
    )
    (folder / "registry.json").write_text(json.dumps(registry.to_json(), indent=1) + "\n", encoding="utf-8")


def _truth(found: Census) -> list[dict[str, Any]]:
    """Return the AUC of each indicator against what the training of the embedded model met."""
    from samplerfuzz.llama.truth import embedded_truth
    from samplerfuzz.probe.census.indicators import auc

    truth = embedded_truth()
    others = [i for i in range(len(truth.counts)) if i not in set(found.unused.tolist())]  # the indicators are measured from those
    met = ~truth.never[others]
    return [
        {"indicator": name, "never": auc(values[others], ~met), "rare": auc(values[others][met], truth.rare[others][met])}
        for name, values in found.indicators.items()
    ]


def print_census(data: dict[str, Any]) -> None:
    """Print a census to the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from samplerfuzz.report.text import rounded

    console = Console()
    table = Table(
        "indicator",
        "AUC, controls",
        "asked",
        "verified",
        "precision (95 %)",
        "of matched controls",
        "recall",
        title="who is told apart",
        title_justify="left",
    )
    for score in data["scores"]:
        table.add_row(
            score["indicator"], rounded(score["auc"]), f"{score['candidates']:,}", f"{score['verified']:,}",
            f"{rounded(score['precision'])} ({score['low']:.3f} to {score['high']:.3f})", rounded(score["matched"]), rounded(score["recall"]),
        )  # fmt: skip
    console.print(table)
    if data["truth"]:
        against = Table("indicator", "AUC, never trained", "AUC, 1 to 10 times against more")
        against.title, against.title_justify = "against what the training met", "left"
        for row in data["truth"]:
            against.add_row(row["indicator"], f"{row['never']:.4f}", f"{row['rare']:.4f}")
        console.print(against)
    if not data["repeats"]:
        console.print(
            "the model does not repeat what it is shown, not even most tokens drawn at random: that it cannot say a token means nothing, and "
            "the registry stays empty",
            highlight=False,
        )
        return
    console.print(f"{data['anomalous']:,} of {data['asked']:,} tokens asked cannot be said; the worst:", highlight=False)
    console.print(Text(", ".join(repr(token["text"]) for token in data["worst"][:20]) or "none"))
