"""`samplerfuzz bench llama | probe`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

LLAMA_EPILOG = """\
\b
Examples:
  samplerfuzz bench llama
  samplerfuzz bench llama --peer transformers --rows 8 --rounds 9
  samplerfuzz bench llama --out reports/llama-speed

\b
Peers: transformers (float32), llama.cpp (the file as it is) and llama.cpp
float32 (the same weights). Those that are installed take turns with
samplerfuzz in one run, the others are named with the line that installs
them. The first call of each is told apart: it compiles, or warms up.
"""

PROBE_EPILOG = """\
\b
Examples:
  samplerfuzz bench probe
  samplerfuzz bench probe tiny --rows 64 --json
"""


@click.command("llama", epilog=LLAMA_EPILOG)
@click.argument("model", default="smollm2-135m")
@click.option(
    "--rows", multiple=True, type=click.IntRange(1, 1024), metavar="B", help="Decode B rows together; may be repeated [default: 1, 8, 32]."
)
@click.option(
    "--prompt-tokens", type=click.IntRange(min=1), default=512, show_default=True, metavar="N", help="Length of the prompt of prefill."
)
@click.option("--steps", type=click.IntRange(min=1), default=32, show_default=True, metavar="N", help="Tokens of each row that are timed.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True, metavar="N", help="Calls of each after the first.")
@click.option("--peer", "peers", multiple=True, metavar="NAME", help="Only this peer beside samplerfuzz; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--out", type=click.Path(path_type=Path), metavar="PATH", help="Write PATH.json.")
def llama(
    model: str, rows: tuple[int, ...], prompt_tokens: int, steps: int, rounds: int, peers: tuple[str, ...], as_json: bool, out: Path | None
) -> None:
    """Time prefill, decoding and the first token of MODEL beside other engines."""
    from rich.console import Console

    from samplerfuzz.bench.language_models import ROWS, compare
    from samplerfuzz.llama.embedded import TEXT
    from samplerfuzz.llama.load_tokenizer import load_tokenizer
    from samplerfuzz.llama.models import resolve

    path = resolve(model)
    _compile_anew()
    with Console(stderr=True).status("") as status:
        text = load_tokenizer(path).encode(TEXT)
        told = compare(
            path, text, rows=rows or ROWS, steps=steps, rounds=rounds, peers=peers or None, long=prompt_tokens, tell=status.update
        )
    _finish({"model": model, **told}, as_json, out, _print_engines)


@click.command("probe", epilog=PROBE_EPILOG)
@click.argument("model", default="smollm2-135m")
@click.option(
    "--rows", type=click.IntRange(1, 4096), default=32, show_default=True, metavar="B", help="Rows that a device computes at a time."
)
@click.option("--max-new-tokens", type=click.IntRange(min=1), default=32, show_default=True, metavar="N", help="Length of each text.")
@click.option("--ids", type=click.IntRange(min=1), default=256, show_default=True, metavar="N", help="Tokens to verify.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, metavar="N", help="Calls of each after the first.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--out", type=click.Path(path_type=Path), metavar="PATH", help="Write PATH.json.")
def probe(model: str, rows: int, max_new_tokens: int, ids: int, rounds: int, as_json: bool, out: Path | None) -> None:
    """Count the tokens of a census that are verified a second, and the rows of a batch that are continued."""
    from rich.console import Console

    from samplerfuzz.bench.probing import rates
    from samplerfuzz.cli.probing import FEW
    from samplerfuzz.llama.load import load_model
    from samplerfuzz.llama.load_tokenizer import load_tokenizer
    from samplerfuzz.llama.models import resolve

    path = resolve(model)
    _compile_anew()
    with Console(stderr=True).status("loading the model") as status:
        loaded, _ = load_model(path)
        told = rates(loaded, load_tokenizer(path), FEW, rows=rows, new_tokens=max_new_tokens, ids=ids, rounds=rounds, tell=status.update)
    _finish({"model": model, **told}, as_json, out, _print_probing)


def _compile_anew() -> None:
    """Read no compiled program from disk: the first call is to tell what compiling takes."""
    import jax

    jax.config.update("jax_enable_compilation_cache", False)


def _finish(told: dict[str, Any], as_json: bool, out: Path | None, show: Any) -> None:
    from samplerfuzz.report.files import write_atomically

    text = json.dumps(told, indent=1, ensure_ascii=False)
    if as_json:
        click.echo(text)
    else:
        show(told)
        machine = told["machine"]
        busy = "; other work took part of them, so these figures compare little" if told["load_average"][0] > machine["cores"] / 2 else ""
        click.echo(f"{machine['processor']}, {machine['cores']} cores; load average {' and '.join(map(str, told['load_average']))}{busy}")
    if out is not None:
        write_atomically(out.with_name(out.name + ".json"), text + "\n")


def _print_engines(told: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from samplerfuzz.bench.document import milliseconds
    from samplerfuzz.bench.peers.peer import OURS

    console = Console()
    names = list(told["peers"])
    table = Table(
        "", *names, title=f"{told['model']}: tokens a second (× the time of samplerfuzz; ms of the first call)", title_justify="left"
    )
    for line in told["lines"]:
        cells = []
        for name in names:
            ratio = "" if name == OURS else f"×{line['ratios'][name]:.2f}; "
            cells.append(f"{line['rates'][name]:,.1f} ({ratio}{milliseconds(1e3 * line['first'][name])})")
        table.add_row(line["work"], *cells)
    console.print(table)
    for name, about in told["peers"].items():
        same = f"; says the same {told['same_greedy_tokens'][name]} of {told['compared_tokens']} tokens" if name != OURS else ""
        console.print(f"{name} {about['version']}: {about['how']}{same}", highlight=False, markup=False)
    for item in told["absent"]:
        console.print(f"skipped {item['name']}: {item['why']}; {item['install']}".removesuffix("; "), highlight=False, markup=False)


def _print_probing(told: dict[str, Any]) -> None:
    census, batch = told["census"], told["batch"]
    click.echo(
        f"census: {census['ids_per_second']:,.1f} tokens verified a second, {census['prompts']} prompts each ({census['ids']} tokens; the "
        f"first call, which compiles, {census['first']:.1f} s)"
    )
    click.echo(
        f"batch: {batch['rows_per_second']:,.1f} rows and {batch['tokens_per_second']:,.0f} tokens a second, {batch['block']} rows at a time "
        f"on {told['devices']} device(s), written to disk (the first call {batch['first']:.1f} s)"
    )
