"""`samplerfuzz generate --statistics FILE`: the numbers of every step as they were measured on the device, and what the monitors say of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rich.console import Console

    from samplerfuzz.llama.decoding import Generated

SHOWN = {
    "H": "entropy",
    "var": "varentropy",
    "max/min": "log_max_min_ratio",
    "skew": "skewness",
    "kurt": "excess_kurtosis",
    "kept": "kept",
    "removed": "mass_removed",
    "rank": "rank",
    "S": "surprisal",
}


class Recording:
    """What passes by: the tokens and vectors of each row."""

    def __init__(self) -> None:
        self.tokens: list[list[int]] = []
        self.vectors: list[list[np.ndarray]] = []

    def through(self, pieces: Iterator[Generated]) -> Iterator[Generated]:
        """Yield the pieces and keep what they tell."""
        for piece in pieces:
            self.tokens = self.tokens or [[] for _ in piece.counts]
            self.vectors = self.vectors or [[] for _ in piece.counts]
            for row, new in enumerate(piece.rows()):
                self.tokens[row].extend(new)
                self.vectors[row].extend(piece.info.statistics[: len(new), row])
            yield piece

    def write(self, path: Path, *, model: str, seed: int) -> None:
        """Write steps and monitors as JSON."""
        from samplerfuzz.report.files import write_atomically
        from samplerfuzz.report.text import json_ready
        from samplerfuzz.safety.hooks.callback import TokenMonitor
        from samplerfuzz.safety.step import told

        monitor = TokenMonitor()
        rows = []
        for tokens, vectors in zip(self.tokens, self.vectors, strict=True):
            if tokens:
                monitor.take(np.stack(vectors), tokens)
            rows.append([{"token": token, **told(vector)} for token, vector in zip(tokens, vectors, strict=True)])
        document: dict[str, Any] = {"model": model, "seed": seed, "steps": rows, "monitor": monitor.describe()}
        write_atomically(path, json.dumps(json_ready(document), indent=1, allow_nan=False) + "\n")

    def show(self, console: Console) -> None:
        """Print a line a step."""
        from rich.table import Table

        from samplerfuzz.safety.step import told

        table = Table("row", "step", "token", *SHOWN, box=None)
        for row, (tokens, vectors) in enumerate(zip(self.tokens, self.vectors, strict=True)):
            for step, (token, vector) in enumerate(zip(tokens, vectors, strict=True)):
                numbers = told(vector)
                table.add_row(str(row), str(step), str(token), *(_short(numbers[name]) for name in SHOWN.values()))
        console.print(table)


def _short(value: float | int | None) -> str:
    return "–" if value is None else str(value) if isinstance(value, int) else f"{value:.3g}"
