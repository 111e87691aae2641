"""`samplerfuzz probe atlas | batch | census | replicate MODEL`."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from samplerfuzz.cli.batch import batch_command
from samplerfuzz.cli.census import census_command
from samplerfuzz.cli.prompts import PROMPTS, read_prompts
from samplerfuzz.cli.replicate import replicate_command
from samplerfuzz.core.errors import UsageError

if TYPE_CHECKING:
    from samplerfuzz.probe.atlas import Atlas

EPILOG = """\
\b
Examples:
  samplerfuzz probe atlas tiny
  samplerfuzz probe atlas smollm2-135m --prompt "Temperature is a concept" --temperature -0.001
  samplerfuzz probe atlas ./my-model.gguf --prompts prompts.txt --report-dir reports/mine
  samplerfuzz probe atlas tiny --json > atlas.json
  samplerfuzz probe census tiny
  samplerfuzz probe replicate smollm2-135m
  samplerfuzz probe batch tiny --prompts prompts.txt --temperature -1
"""

ATLAS_EPILOG = (
    EPILOG
    + """
\b
Exit status: 0 every law of temperature holds, 1 one is broken, 2 usage error.
"""
)


@click.group(epilog=EPILOG)
def command() -> None:
    """Ask what a model does at the limits of temperature, and which of its tokens it does not know."""


command.add_command(batch_command)
command.add_command(census_command)
command.add_command(replicate_command)


@command.command("atlas", epilog=ATLAS_EPILOG)
@click.argument("model", default="tiny")
@click.option("--prompt", "given", multiple=True, metavar="TEXT", help="A prompt; may be repeated [default: eight built-in ones].")
@click.option("--prompts", "file", type=click.Path(path_type=Path), metavar="FILE", help="A file of prompts, one a line.")
@click.option(
    "--temperature",
    "temperatures",
    type=float,
    multiple=True,
    metavar="T",
    help="Continue the prompts at T; may be repeated [default: −0.001, 0, 0.8, 2].",
)
@click.option("--max-new-tokens", type=click.IntRange(min=1), default=24, show_default=True, metavar="N", help="Length of each text.")
@click.option(
    "--dtype", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True, help="Of weights and activations."
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Seed of the draws.")
@click.option(
    "--report-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where atlas.html and atlas.json go [default: reports/probe-MODEL].",
)
@click.option("--json", "as_json", is_flag=True, help="Print the data as JSON, and write no report.")
def atlas_command(
    model: str, given: tuple[str, ...], file: Path | None, temperatures: tuple[float, ...], max_new_tokens: int, dtype: str, seed: int,
    report_dir: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Sweep β = 1/T over (−∞, ∞) for the rows after some prompts of MODEL: entropy, what filters keep, the least likely tokens,
    texts at chosen temperatures, and the exact laws of temperature, held against the samplers."""
    from rich.console import Console

    from samplerfuzz.llama.load import load_model
    from samplerfuzz.llama.load_tokenizer import load_tokenizer
    from samplerfuzz.llama.models import resolve
    from samplerfuzz.probe.atlas import atlas
    from samplerfuzz.report.probe_page import atlas_json, probe_page

    prompts = _prompts(given, file)
    wrong = next((t for t in temperatures if math.isnan(t)), None)
    if wrong is not None:
        raise UsageError(f"--temperature {wrong}: expected any real number, 0, inf or -inf")
    path = resolve(model)
    tokenizer = load_tokenizer(path)
    encoded = [tokenizer.encode(text) or [*tokenizer.eos_ids[:1]] for text in prompts]
    console = Console(stderr=True)
    with console.status("loading the model") as status:
        loaded, _ = load_model(path, dtype=dtype)
        found = atlas(
            loaded, encoded, temperatures=temperatures or (-0.001, 0.0, 0.8, 2.0), new_tokens=max_new_tokens, seed=seed,
            eos_ids=tokenizer.eos_ids, tell=status.update,
        )  # fmt: skip

        def text(ids: list[int]) -> str:
            return "".join(tokenizer.token_text(i) for i in ids if i not in tokenizer.eos_ids)

        data = atlas_json(found, model=model, prompts=prompts, show=tokenizer.token_text, text=text)
    if as_json:
        click.echo(json.dumps(data, ensure_ascii=True, allow_nan=False))
        return int(bool(found.broken))
    folder = report_dir or Path("reports") / f"probe-{re.sub(r'[^A-Za-z0-9._-]+', '-', Path(model).name)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "atlas.json").write_text(json.dumps(data, ensure_ascii=True, allow_nan=False, indent=1) + "\n", encoding="utf-8")
        (folder / "atlas.html").write_text(probe_page(data, found, show=tokenizer.token_text), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--report-dir {folder}: cannot be written ({error.strerror}); name another directory") from error
    _print(found, data, folder)
    return int(bool(found.broken))


def _prompts(given: tuple[str, ...], file: Path | None) -> list[str]:
    if file is None:
        return list(given or PROMPTS)
    if given:
        raise UsageError("expected --prompt or --prompts, not both")
    return read_prompts(file)


def _print(found: Atlas, data: dict[str, Any], folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from samplerfuzz.probe.atlas import BETAS
    from samplerfuzz.report.text import number, printable

    console = Console()
    allowed = number(found.rows[0].exact.entropy[list(BETAS).index(0.0)])
    title = f"{data['model']}: the next token; the entropy at T = ±∞ is {allowed} nats"
    table = Table("prompt", "H at T = 1", "H at T = −1", "most likely", "least likely", "its margin", title=title, title_justify="left")
    at = [list(BETAS).index(beta) for beta in (1.0, -1.0)]
    for row, told in zip(found.rows, data["rows"], strict=True):
        first, last = told["top"][0]["text"], told["bottom"][0]["text"]
        table.add_row(
            Text(printable(told["prompt"])[:28]), *(f"{row.exact.entropy[i]:.3f}" for i in at), Text(first), Text(last), f"{row.margin:.4g}"
        )
    console.print(table)
    for told in data["texts"]:
        console.print(Text(f"T = {number(told['temperature'])}: {data['rows'][0]['prompt']!r} → {told['texts'][0]!r}"))
    steady = all(kept.same for row in found.rows for kept in row.kept if kept.filter.startswith("top-nσ"))
    console.print(f"top-nσ keeps the same tokens at every T > 0: {'yes' if steady else 'NO'}", highlight=False)
    for index, law in found.broken:
        console.print(Text(f"BROKEN after prompt {index}: {law.name}; {law.worst:.3g} times what rounding allows at β = {law.beta:.3g}"))
    if not found.broken:
        console.print(f"all {len(found.rows[0].laws)} laws of temperature hold to rounding", highlight=False)
    console.print(f"report: {folder / 'atlas.html'}", highlight=False)
