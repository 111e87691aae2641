"""`samplerfuzz probe replicate MODEL`."""

from __future__ import annotations

import json

import click

from samplerfuzz.cli.prompts import PROMPTS

EPILOG = """\
\b
Examples:
  samplerfuzz probe replicate tiny
  samplerfuzz probe replicate smollm2-135m --json
"""


@click.command("replicate", epilog=EPILOG)
@click.argument("model", default="tiny")
@click.option("--max-new-tokens", type=click.IntRange(min=2), default=32, show_default=True, metavar="N", help="Length of each text.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Of controls and resampling.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def replicate_command(model: str, max_new_tokens: int, seed: int, as_json: bool) -> None:
    """Replicate "Sampling at negative temperature": print MODEL's text at T = −0.001 and test, with controls, what was claimed of its tokens."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from samplerfuzz.llama.load import load_model
    from samplerfuzz.llama.load_tokenizer import load_tokenizer
    from samplerfuzz.llama.models import resolve
    from samplerfuzz.probe.replication import PROMPT, replicate
    from samplerfuzz.report.text import json_ready

    path = resolve(model)
    tokenizer = load_tokenizer(path)
    with Console(stderr=True).status("loading the model") as status:
        loaded, _ = load_model(path)
        more = [text for text in PROMPTS if text != PROMPT]
        found = replicate(loaded, tokenizer, more, new_tokens=max_new_tokens, seed=seed, tell=status.update)

    def text(ids: list[int]) -> str:
        return "".join(map(tokenizer.token_text, ids))

    if as_json:
        told = {**vars(found), "loop": vars(found.loop), "claims": [vars(claim) for claim in found.claims]}
        texts = {"prompt": PROMPT, "inverted_text": text(found.inverted), "ordinary_text": text(found.ordinary)}
        click.echo(json.dumps(json_ready({"model": model, **texts, **told}), allow_nan=False))
        return
    console = Console()
    console.print(Text(f"T = −0.001: {PROMPT!r} → {text(found.inverted)!r}"))
    console.print(Text(f"T =  0.001: {PROMPT!r} → {text(found.ordinary)!r}"))
    loop = f"repeats itself every {found.loop.period} tokens from token {found.loop.start} on" if found.loop.period else "does not loop"
    console.print(
        f"the inverted text {loop}; {len(found.printed)} distinct tokens over all prompts, {len(found.controls)} controls", highlight=False
    )
    table = Table("claim", "measured", "of the tokens (95 %)", "of controls", "verdict")
    for claim in found.claims:
        colour = {"supported": "green", "refuted": "red"}.get(claim.verdict, "yellow")
        interval = f"{claim.estimate:.3f} ({claim.low:.3f} to {claim.high:.3f})"
        table.add_row(
            claim.text,
            claim.measure,
            interval,
            "" if claim.controls != claim.controls else f"{claim.controls:.3f}",
            Text(claim.verdict, colour),
        )
    console.print(table)
    console.print(
        f"the least likely token is the same in bfloat16 in {found.bfloat16:.0%} of contexts; with shuffled weights {found.shuffled:.0%} of the "
        f"tokens are least likely somewhere, for random hidden states {found.random_states:.0%}",
        highlight=False,
    )
