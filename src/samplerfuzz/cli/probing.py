"""What the probes share: the prompts that they begin with, where results go, and a model opened with its tokenizer."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from samplerfuzz.core.errors import UsageError

if TYPE_CHECKING:
    from samplerfuzz.llama.model import LlamaModel
    from samplerfuzz.llama.tokenizer import Tokenizer

F = TypeVar("F", bound=Callable[..., Any])

PROMPTS = (
    "Temperature is a concept",
    "Once there was a",
    "The price is 42",
    "def main():",
    '"Where is',
    "In the end",
    "1, 2, 3, 4,",
    "The capital of France is",
    "She opened the door and",
    "import numpy as np\n",
    "Dear Sir or Madam,",
    "The first law of thermodynamics",
    "<html>\n<body>",
    "Q: Why is the sky blue?\nA:",
    "It was a dark and stormy",
    "SELECT name FROM",
    "La vie est",
    "Es war einmal",
    "To be, or not to be,",
    "x = [1, 2, 3]\nprint(",
    "According to the report,",
    "- milk\n- eggs\n-",
    "Yesterday, the president",
    "I think that",
)
FEW = PROMPTS[:8]


def prompt_options(function: F) -> F:
    """Add --prompt and --prompts to a command; `asked_prompts` reads them."""
    file = click.option("--prompts", "file", type=click.Path(path_type=Path), metavar="FILE", help="A file of prompts, one a line.")
    return click.option("--prompt", "given", multiple=True, metavar="TEXT", help="A prompt; may be repeated [default: built-in ones].")(
        file(function)
    )


report_dir_option = click.option(
    "--report-dir", type=click.Path(path_type=Path), metavar="DIR", help="Where results go [default: reports/probe-MODEL]."
)
dtype_option = click.option(
    "--dtype", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True, help="Of weights and activations."
)


def asked_prompts(given: tuple[str, ...], file: Path | None, default: tuple[str, ...] = FEW) -> list[str]:
    """Return the prompts that --prompt and --prompts name.

    Raises:
      UsageError: both are given, or the file has no line with text.
    """
    if file is None:
        return list(given or default)
    if given:
        raise UsageError("expected --prompt or --prompts, not both")
    return read_prompts(file)


def read_prompts(file: Path, option: str = "--prompts") -> list[str]:
    """Return the lines that hold something of the file that `option` names.

    Raises:
      UsageError: no UTF-8 text, or no such line.
    """
    try:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{option} {file}: expected UTF-8 text, one prompt a line: {error}") from error
    if not lines:
        raise UsageError(f"{option} {file}: expected one prompt a line, found no line with text")
    return lines


def folder_of(report_dir: Path | None, model: str) -> Path:
    """Return the folder of a probe's results, made.

    Raises:
      UsageError: it cannot be made.
    """
    folder = report_dir or Path("reports") / f"probe-{re.sub(r'[^A-Za-z0-9._-]+', '-', Path(model).name)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--report-dir {folder}: cannot be written ({error.strerror}); name another directory") from error
    return folder


def opened(model: str, dtype: str = "float32") -> tuple[LlamaModel, Tokenizer, Path]:
    """Return a model, its tokenizer and where they lie."""
    from samplerfuzz.llama.load import load_model
    from samplerfuzz.llama.load_tokenizer import load_tokenizer
    from samplerfuzz.llama.models import resolve

    path = resolve(model)
    tokenizer = load_tokenizer(path)
    loaded, _ = load_model(path, dtype=dtype)
    return loaded, tokenizer, path


def written(folder: Path, data: dict[str, Any]) -> Path:
    """Write a section's data into the folder and return the page.

    Raises:
      UsageError: the folder cannot be written.
    """
    from samplerfuzz.report.probe.page import write_section

    try:
        return write_section(folder, data)
    except OSError as error:
        raise UsageError(f"--report-dir {folder}: cannot be written ({error.strerror}); name another directory") from error
