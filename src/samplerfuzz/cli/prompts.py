"""The prompts of a probe: those it begins with where none is given, and those of a file."""

from __future__ import annotations

from pathlib import Path

from samplerfuzz.core.errors import UsageError

PROMPTS = (
    "Temperature is a concept",
    "Once there was a",
    "The price is 42",
    "def main():",
    '"Where is',
    "In the end",
    "1, 2, 3, 4,",
    "The capital of France is",
)


def read_prompts(file: Path) -> list[str]:
    """Return the lines of a file that hold something.

    Raises:
      UsageError: no UTF-8 text, or no such line.
    """
    try:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--prompts {file}: expected UTF-8 text, one prompt a line: {error}") from error
    if not lines:
        raise UsageError(f"--prompts {file}: expected one prompt a line, found no line with text")
    return lines
