"""`samplerfuzz probe census MODEL`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from samplerfuzz.cli.prompts import PROMPTS
from samplerfuzz.core.errors import UsageError

if TYPE_CHECKING:
    from samplerfuzz.llama.tokenizer import Tokenizer
    from samplerfuzz.probe.census.census import Census

EPILOG = """\
\b
Examples:
  samplerfuzz probe census tiny
  samplerfuzz probe census smollm2-135m --report-dir reports/census-smollm2-135m
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
@click.option("--report-dir", type=click.Path(path_type=Path), metavar="DIR", help="Where results go [default: reports/census-MODEL].")
def census_command(model: str, share: float, controls: int, everyone: bool, contexts: int, seed: int, report_dir: Path | None) -> None:
    """Score every token of MODEL by its embedding, ask the suspicious ones and random others for themselves, and list those that
    the model cannot say. Writes registry.json, census.json and answers.jsonl."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from samplerfuzz.llama.load import load_model
    from samplerfuzz.llama.load_tokenizer import load_tokenizer
    from samplerfuzz.llama.models import DEFAULT, find, resolve
    from samplerfuzz.probe.census.census import Plan, census

    path = resolve(model)
    folder = report_dir or Path("reports") / f"census-{re.sub(r'[^A-Za-z0-9._-]+', '-', Path(model).name)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--report-dir {folder}: cannot be written ({error.strerror}); name another directory") from error
    tokenizer = load_tokenizer(path)
    loaded, _ = load_model(path)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=None)
        found = census(
            loaded, tokenizer, PROMPTS,
            plan=Plan(share=share, controls=controls, everyone=everyone, contexts=contexts, seed=seed),
            file=folder / "answers.jsonl",
            tell=lambda stage, done, of: progress.update(task, description=stage, completed=done, total=of),
        )  # fmt: skip
    try:
        _write(folder, found, model, path, tokenizer)
    except OSError as error:
        raise UsageError(f"--report-dir {folder}: cannot be written ({error.strerror})") from error
    _print(found, tokenizer, folder)
    if path == find(DEFAULT).path:
        _print_truth(found)


def _write(folder: Path, found: Census, model: str, path: Path, tokenizer: Tokenizer) -> None:
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
    (folder / "census.json").write_text(json.dumps(_data(found, model), indent=1) + "\n", encoding="utf-8")


def _data(found: Census, model: str) -> dict[str, Any]:
    import numpy as np

    from samplerfuzz.report.text import json_ready

    kinds, counts = np.unique(found.category, return_counts=True)
    data: dict[str, Any] = json_ready({
        "model": model,
        "vocabulary": len(found.category),
        "categories": dict(zip(kinds.tolist(), counts.tolist(), strict=True)),
        "unused": {"ids": found.unused, "why": found.why},
        "contexts": found.contexts.count,
        "least_likely": {int(i): int(found.contexts.argmin[i]) for i in np.argsort(-found.contexts.argmin)[:50] if found.contexts.argmin[i]},
        "asked": len(found.asked.ids),
        "controls": len(found.controls),
        "controls_verified": int((found.asked.most[np.isin(found.asked.ids, found.controls)] < 0.01).sum()),
        "repeats": found.repeats,
        "anomalous": len(found.anomalous),
        "scores": [{**vars(score), "precision": score.precision} for score in found.scores],
    })  # fmt: skip
    return data


def _print(found: Census, tokenizer: Tokenizer, folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(
        "indicator", "AUC, controls", "asked", "verified", "precision (95 %)", "recall", title="who is told apart", title_justify="left"
    )
    for score in found.scores:
        table.add_row(
            score.indicator, f"{score.auc:.3f}", f"{score.candidates:,}", f"{score.verified:,}",
            f"{score.precision:.3f} ({score.low:.3f} to {score.high:.3f})", f"{score.recall:.3f}",
        )  # fmt: skip
    console.print(table)
    if not found.repeats:
        console.print(
            "the model does not repeat what it is shown, not even most tokens drawn at random: that it cannot say a token means nothing, and "
            "the registry stays empty",
            highlight=False,
        )
        return
    worst = [tokenizer.token_text(int(i)) for i in found.anomalous[:20]]
    console.print(f"{len(found.anomalous):,} of {len(found.asked.ids):,} tokens asked cannot be said; the worst:", highlight=False)
    console.print(Text(", ".join(map(repr, worst)) or "none"))
    console.print(f"registry: {folder / 'registry.json'}", highlight=False)


def _print_truth(found: Census) -> None:
    from rich.console import Console
    from rich.table import Table

    from samplerfuzz.llama.truth import embedded_truth
    from samplerfuzz.probe.census.indicators import auc

    truth = embedded_truth()
    table = Table(
        "indicator", "AUC, never trained", "AUC, 1 to 10 times against more", title="against what the training met", title_justify="left"
    )
    others = [i for i in range(len(truth.counts)) if i not in set(found.unused.tolist())]  # the indicators are measured from those
    for name, values in found.indicators.items():
        of, met = values[others], ~truth.never[others]
        table.add_row(name, f"{auc(of, ~met):.4f}", f"{auc(of[met], truth.rare[others][met]):.4f}")
    Console().print(table)
