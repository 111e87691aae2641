"""`samplerfuzz probe replicate MODEL`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from samplerfuzz.cli.probing import PROMPTS, asked_prompts, dtype_option, folder_of, opened, prompt_options, report_dir_option, written

if TYPE_CHECKING:
    from samplerfuzz.llama.model import LlamaModel
    from samplerfuzz.llama.tokenizer import Tokenizer

EPILOG = """\
\b
Examples:
  samplerfuzz probe replicate tiny
  samplerfuzz probe replicate smollm2-135m --json
  samplerfuzz probe replicate ./my-model --prompts prompts.txt --examined 300
"""


@click.command("replicate", epilog=EPILOG)
@click.argument("model", default="tiny")
@prompt_options
@click.option("--max-new-tokens", type=click.IntRange(min=2), default=64, show_default=True, metavar="N", help="Length of each text.")
@click.option(
    "--examined", type=click.IntRange(min=1), default=128, show_default=True, metavar="N", help="Printed tokens that are examined, at most."
)
@dtype_option
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Of controls, resampling and draws.")
@report_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and write no report.")
def replicate_command(
    model: str, given: tuple[str, ...], file: Path | None, max_new_tokens: int, examined: int, dtype: str, seed: int,
    report_dir: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Replicate "Sampling at negative temperature": print MODEL's text at T = −0.001 and test, with controls, what was claimed of its tokens.

    The prompts are those besides the experiment's own, "Temperature is a concept"; they are there so that enough tokens are printed.
    """
    prompts = asked_prompts(given, file, PROMPTS[1:])
    loaded, tokenizer, _ = opened(model, dtype)
    data = repeat_experiment(loaded, tokenizer, model, prompts, new_tokens=max_new_tokens, examined=examined, seed=seed)
    if as_json:
        click.echo(json.dumps(data, ensure_ascii=True, allow_nan=False))
        return
    page = written(folder_of(report_dir, model), data)
    print_replication(data)
    click.echo(f"report: {page}")


def repeat_experiment(model: LlamaModel, tokenizer: Tokenizer, name: str, prompts: list[str], **asked: int) -> dict[str, Any]:
    """Return the data of a replication."""
    from rich.console import Console

    from samplerfuzz.probe.replication.replicate import PROMPT, replicate
    from samplerfuzz.report.probe.data import replication_json

    def text(ids: list[int]) -> str:
        return "".join(map(tokenizer.token_text, ids))

    others = [prompt for prompt in prompts if prompt != PROMPT]
    with Console(stderr=True).status("the replication") as status:
        found = replicate(model, tokenizer, others, tell=status.update, **asked)
    return replication_json(found, model=name, prompts=[PROMPT, *others], show=tokenizer.token_text, text=text)


def print_replication(data: dict[str, Any]) -> None:
    """Print a replication to the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from samplerfuzz.report.text import rounded

    console = Console()
    first = data["texts"][0]
    console.print(Text(f"T = −{data['temperature']}: {first['prompt']!r} → {first['text']!r}"))
    console.print(Text(f"T =  {data['temperature']}: {first['prompt']!r} → {data['ordinary']['text']!r}"))
    looping = sum(bool(text["loop"]["period"]) for text in data["texts"])
    told = f"{looping} of {len(data['texts'])} texts fall into a loop within {len(first['ids'])} tokens; {len(data['counts'])} distinct tokens are "
    told += f"printed, {len(data['printed'])} examined beside {len(data['controls'])} controls"
    console.print(told, highlight=False)
    table = Table("claim", "measured", "of the tokens (95 %)", "of controls", "verdict")
    for claim in data["claims"]:
        colour = {"supported": "green", "refuted": "red"}.get(claim["verdict"], "yellow")
        interval = f"{rounded(claim['estimate'])} ({claim['low']:.3f} to {claim['high']:.3f})"
        controls = f"{claim['controls']:.3f}" if isinstance(claim["controls"], float) else ""
        table.add_row(claim["text"], claim["measure"], interval, controls, Text(claim["verdict"], colour))
    console.print(table)
    stable = ", ".join(f"{share:.0%} in {kind}" for kind, share in data["stability"].items())
    console.print(f"contexts that keep their least likely token: {stable}", highlight=False)
    rows = {
        "least likely with shuffled weights": data["shuffled"],
        "least likely for a random hidden state": data["random_states"],
        "a vertex of the hull: some hidden state makes it arg-max, and arg-min": data["hull"]["vertex"],
        "inside the hull: none does": data["hull"]["interior"],
    }
    against = Table("share of tokens that are", "printed", "controls")
    for label, share in rows.items():
        against.add_row(label, rounded(share["printed"]), rounded(share["controls"]))
    console.print(against)
