"""`samplerfuzz generate MODEL PROMPT`: text at any real temperature, as it comes."""

from __future__ import annotations

import json
import math
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from samplerfuzz.cli.probing import read_prompts
from samplerfuzz.cli.sampling import sampling_options
from samplerfuzz.core.errors import UsageError

if TYPE_CHECKING:
    from samplerfuzz.llama.decoding import Generated
    from samplerfuzz.llama.tokenizer import Tokenizer

KEPT = "\n\t"

EPILOG = """\
\b
Examples:
  samplerfuzz generate tiny "Once there was a fox" --temperature 0.8 --seed 7
  samplerfuzz generate tiny "Once there was a fox" --temperature -0.001
  samplerfuzz generate smollm2-135m "Temperature is a concept" \\
      --temperature -0.001 --top-k 0 --top-p 1.0 --repetition-penalty 1.0
  echo "The price is" | samplerfuzz generate ./model.gguf - --json
  samplerfuzz generate tiny --batch-file prompts.txt --top-p 0.9

\b
T > 0 is ordinary, 0 greedy, inf uniform; T < 0 inverts: the less likely a
token, the more probable, and -0.001 emits the least likely of those allowed.
"""


@click.command(epilog=EPILOG)
@click.argument("model")
@click.argument("prompt", required=False)
@sampling_options
@click.option("--dry-sequence-breaker", "breakers", metavar="TEXT", multiple=True, help="DRY: ends a repetition; may be given again.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=None, help="Default: random, printed.")
@click.option("--max-new-tokens", type=click.IntRange(min=1), default=64, show_default=True, help="Stop after so many.")
@click.option("--batch-file", type=click.Path(dir_okay=False, path_type=Path), default=None, help="One prompt a line, instead of PROMPT.")
@click.option(
    "--dtype", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True, help="What the model computes in."
)
@click.option("--statistics", type=click.Path(dir_okay=False, path_type=Path), default=None, metavar="FILE",
    help="Measure every step on the device: a table on standard error, JSON in FILE, with what the monitors say.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a prompt: ids, text, and every step in numbers.")
def command(
    model: str, prompt: str | None, seed: int | None, max_new_tokens: int, batch_file: Path | None, dtype: str, as_json: bool,
    statistics: Path | None, breakers: tuple[str, ...], **sampling: float,
) -> None:  # fmt: skip
    """Continue PROMPT with MODEL, a name of `samplerfuzz models ls` or a path; PROMPT - reads standard input.

    Text goes to standard output as it comes, control characters in it escaped; seed and speed go to standard error.
    """
    prompts = _prompts(prompt, batch_file)
    from samplerfuzz.llama.models import resolve

    path = resolve(model)
    from samplerfuzz.llama.load_tokenizer import load_tokenizer

    tokenizer = load_tokenizer(path)
    encoded = [tokenizer.encode(text) for text in prompts]
    for text, ids in zip(prompts, encoded, strict=True):
        if not ids and tokenizer.bos_id is None:
            raise UsageError(f"prompt {text!r}: expected at least one token, and the model has no begin token to stand for none")
        ids.extend([] if ids or tokenizer.bos_id is None else [tokenizer.bos_id])
    chosen = secrets.randbelow(2**32) if seed is None else seed
    begin = time.monotonic()
    from samplerfuzz.cli.statistics import Recording

    recording = Recording()
    pieces = _decode(path, dtype, encoded, tokenizer, chosen, max_new_tokens, sampling, breakers, measured=statistics is not None)
    if statistics is not None:
        pieces = recording.through(pieces)
    if as_json:
        emitted = _print_json(pieces, prompts, encoded, tokenizer, chosen, sampling)
    elif len(prompts) == 1:
        emitted = _print_stream(pieces, tokenizer, encoded[0])
    else:
        emitted = _print_batch(pieces, tokenizer, encoded)
    if statistics is not None:
        from rich.console import Console

        recording.show(Console(stderr=True))
        recording.write(statistics, model=model, seed=chosen)
    click.echo(f"seed {chosen}, {emitted} tokens in {time.monotonic() - begin:.1f} s, loading and compiling included", err=True)


def _prompts(prompt: str | None, batch_file: Path | None) -> list[str]:
    if (prompt is None) == (batch_file is None):
        raise UsageError("expected either PROMPT or --batch-file FILE; see `samplerfuzz generate --help`")
    if batch_file is not None:
        return read_prompts(batch_file, "--batch-file")
    return [sys.stdin.read().removesuffix("\n") if prompt == "-" else str(prompt)]


def _decode(
    path: Path, dtype: str, prompts: list[list[int]], tokenizer: Tokenizer, seed: int, count: int, sampling: dict[str, float],
    breakers: tuple[str, ...], *, measured: bool,
) -> Iterator[Generated]:  # fmt: skip
    import jax

    from samplerfuzz.cli.decoding import breaking, history_of, sample, watched
    from samplerfuzz.llama.decoding import stream
    from samplerfuzz.llama.load import load_model
    from samplerfuzz.samplers.given import chain_of

    model, _ = load_model(path, dtype=dtype)
    broken = {"dry_sequence_breakers": breaking(tokenizer, breakers, model.config.vocab_size)} if breakers else {}
    chain = chain_of({**sampling, **broken})
    return stream(
        model,
        prompts,
        sample=watched if measured else sample,
        sampler_params=chain,
        sampler_state=chain.begin(history_of(prompts, count)),
        key=jax.random.key(seed),
        max_new_tokens=count,
        eos_ids=tokenizer.eos_ids,
    )


def _print_stream(pieces: Iterator[Generated], tokenizer: Tokenizer, prompt: list[int]) -> int:
    from samplerfuzz.llama.visible import visible

    text, emitted = tokenizer.stream(after=prompt), 0
    for piece in pieces:
        for token in piece.rows()[0]:
            emitted += 1
            if token not in tokenizer.eos_ids:
                click.echo(visible(text.feed(token), keep=KEPT), nl=False)
        sys.stdout.flush()
    click.echo(visible(text.finish(), keep=KEPT))
    return emitted


def _collect(pieces: Iterator[Generated]) -> tuple[list[list[int]], list[Any]]:
    """Return each row's tokens and what the sampler told of each step."""
    rows: list[list[int]] = []
    steps = []
    for piece in pieces:
        rows = rows or [[] for _ in piece.counts]
        for row, new in zip(rows, piece.rows(), strict=True):
            row.extend(new)
        steps.append(piece.info)
    return rows, steps


def _text(tokenizer: Tokenizer, prompt: list[int], tokens: list[int]) -> str:
    stream = tokenizer.stream(after=prompt)
    return "".join(stream.feed(token) for token in tokens if token not in tokenizer.eos_ids) + stream.finish()


def _print_batch(pieces: Iterator[Generated], tokenizer: Tokenizer, prompts: list[list[int]]) -> int:
    from samplerfuzz.llama.visible import visible

    rows, _ = _collect(pieces)
    for index, (prompt, tokens) in enumerate(zip(prompts, rows, strict=True)):
        click.echo(f"[{index}] {visible(_text(tokenizer, prompt, tokens), keep=KEPT)}")
    return sum(map(len, rows))


def _print_json(
    pieces: Iterator[Generated], texts: list[str], prompts: list[list[int]], tokenizer: Tokenizer, seed: int, sampling: dict[str, float]
) -> int:  # fmt: skip
    rows, steps = _collect(pieces)
    for index, tokens in enumerate(rows):
        told = [
            {
                "token": token,
                "text": _name(tokenizer, token),
                "entropy": float(step.entropy[0, index]),
                "log_max_min_ratio": float(step.log_ratio[0, index]),
                "argmin": {"token": int(step.argmin[0, index]), "text": _name(tokenizer, int(step.argmin[0, index]))},
                "argmax": {"token": int(step.argmax[0, index]), "text": _name(tokenizer, int(step.argmax[0, index]))},
                "kept": int(step.kept[0, index]),
            }
            for token, step in zip(tokens, steps, strict=False)  # a row that has ended is shorter than the longest
        ]
        line = {
            "prompt": texts[index],
            "prompt_ids": prompts[index],
            "seed": seed,
            "parameters": {name: value if math.isfinite(value) else str(value) for name, value in sampling.items()},
            "ids": tokens,
            "text": _text(tokenizer, prompts[index], tokens),
            "steps": told,
        }
        click.echo(json.dumps(line, allow_nan=False))
    return sum(map(len, rows))


def _name(tokenizer: Tokenizer, token: int) -> str:
    return tokenizer.token_text(token) if token < tokenizer.vocab_size else ""
