"""`samplerfuzz probe atlas MODEL`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from samplerfuzz.cli.probing import asked_prompts, dtype_option, folder_of, opened, prompt_options, report_dir_option, written
from samplerfuzz.core.errors import UsageError

if TYPE_CHECKING:
    from samplerfuzz.llama.model import LlamaModel
    from samplerfuzz.llama.tokenizer import Tokenizer
    from samplerfuzz.probe.atlas import Atlas

TEMPERATURES = (-0.001, 0.0, 0.8, 2.0)
EPILOG = """\
\b
Examples:
  samplerfuzz probe atlas tiny
  samplerfuzz probe atlas smollm2-135m --prompt "Temperature is a concept" --temperature -0.001
  samplerfuzz probe atlas ./my-model.gguf --prompts prompts.txt --report-dir reports/mine
  samplerfuzz probe atlas tiny --json > atlas.json

\b
Exit status: 0 every law of temperature holds, 1 one is broken, 2 usage error.
"""


@click.command("atlas", epilog=EPILOG)
@click.argument("model", default="tiny")
@prompt_options
@click.option(
    "--temperature",
    "temperatures",
    type=float,
    multiple=True,
    metavar="T",
    help="Continue the prompts at T; may be repeated [default: −0.001, 0, 0.8, 2].",
)
@click.option("--max-new-tokens", type=click.IntRange(min=1), default=24, show_default=True, metavar="N", help="Length of each text.")
@dtype_option
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Seed of the draws.")
@report_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print the data as JSON, and write no report.")
def atlas_command(
    model: str, given: tuple[str, ...], file: Path | None, temperatures: tuple[float, ...], max_new_tokens: int, dtype: str, seed: int,
    report_dir: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Sweep β = 1/T over (−∞, ∞) for the rows after some prompts of MODEL: entropy, what every technique keeps, the least likely
    tokens, texts at chosen temperatures, and the exact laws of temperature, held against the samplers."""
    prompts = asked_prompts(given, file)
    wrong = next((t for t in temperatures if math.isnan(t)), None)
    if wrong is not None:
        raise UsageError(f"--temperature {wrong}: expected any real number, 0, inf or -inf")
    loaded, tokenizer, _ = opened(model, dtype)
    found, data = map_temperatures(
        loaded, tokenizer, model, prompts, temperatures=temperatures or TEMPERATURES, new_tokens=max_new_tokens, seed=seed
    )
    if as_json:
        click.echo(json.dumps(data, ensure_ascii=True, allow_nan=False))
        return int(bool(found.broken))
    page = written(folder_of(report_dir, model), data)
    print_atlas(found, data)
    click.echo(f"report: {page}")
    return int(bool(found.broken))


def map_temperatures(
    model: LlamaModel, tokenizer: Tokenizer, name: str, prompts: list[str], *, temperatures: tuple[float, ...], new_tokens: int, seed: int
) -> tuple[Atlas, dict[str, Any]]:
    """Return the atlas of a model, and its data."""
    from rich.console import Console

    from samplerfuzz.probe.atlas import atlas
    from samplerfuzz.report.probe.data import atlas_json

    def text(ids: list[int]) -> str:
        return "".join(tokenizer.token_text(i) for i in ids if i not in tokenizer.eos_ids)

    encoded = [tokenizer.encode(prompt) or [*tokenizer.eos_ids[:1]] for prompt in prompts]
    with Console(stderr=True).status("the atlas") as status:
        found = atlas(
            model, encoded, temperatures=temperatures, new_tokens=new_tokens, seed=seed, eos_ids=tokenizer.eos_ids, tell=status.update
        )
    return found, atlas_json(found, model=name, prompts=prompts, show=tokenizer.token_text, text=text)


def print_atlas(found: Atlas, data: dict[str, Any]) -> None:
    """Print an atlas to the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from samplerfuzz.probe.atlas import BETAS
    from samplerfuzz.report.probe.plots import kept_label
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
    changing = {kept.technique for row in found.rows for kept in row.kept if not kept.same}
    steady = [kept_label(data, kept.technique) for kept in found.rows[0].kept if kept.technique not in changing]
    console.print(f"keep the same tokens at every T > 0: {', '.join(steady) or 'none'}", highlight=False)
    for index, law in found.broken:
        console.print(Text(f"BROKEN after prompt {index}: {law.name}; {law.worst:.3g} times what rounding allows at β = {law.beta:.3g}"))
    if not found.broken:
        console.print(f"all {len(found.rows[0].laws)} laws of temperature hold to rounding", highlight=False)
