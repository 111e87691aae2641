"""Tokens to detection as a document, a picture and tables for a terminal."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

MONITORS = {
    "surprisal": "surprisals, Σ(S − H)",
    "kept set": "outside the kept set",
    "anomalous tokens": "anomalous tokens",
}


def markdown(found: dict[str, Any], chart: str = "") -> str:
    """Return the document; `chart` is the path of its picture, if there is one."""
    head = ["fault", "declared", *MONITORS.values()]
    faults = [[line["fault"], _declared(line["declared"]), *(_number(line["tokens"][m]) for m in MONITORS)] for line in found["faults"]]
    clean = [[line["sampler"], f"{line['tokens']:,}", *(str(line["alarms"][m]) for m in MONITORS)] for line in found["correct"]]
    total = sum(line["tokens"] for line in found["correct"])
    alarms = sum(sum(line["alarms"].values()) for line in found["correct"])
    return (
        "\n\n".join(
            [
                "# Tokens until a faulty sampler is told",
                "Written by `samplerfuzz bench monitor --power`. Samplers with a known fault, most of them of the zoo, draw from "
                f"{found['rows']} rows of the embedded model (V = {found['vocabulary']:,}) in random order; the monitors see the logits and the tokens and know what was declared. "
                f"The median number of tokens until the alarm over {found['repeats']} runs; – is none within {found['most']:,}. Each monitor alone keeps the probability of a false "
                f"alarm, ever, below α = {found['alpha']:g}. The anomalous tokens are those that the model was never trained on, and the usual rate is 1.2 times that of the "
                "correct sampler.",
                "A monitor tells what it looks at: a wrong temperature leaves the kept set alone, and one token too many behind a cut hardly changes surprisals.",
                _table(head, faults),
                *([f"![Tokens to detection of every fault]({chart})"] if chart else []),
                "## Correct samplers",
                f"{total:,} tokens drawn by the samplers of this package: {alarms} false alarms.",
                _table(["sampler", "tokens", *(f"alarms: {name}" for name in MONITORS.values())], clean),
            ]
        )
        + "\n"
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", "---", *("---:" for _ in head[2:])], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _number(tokens: int | None) -> str:
    return "–" if tokens is None else f"{tokens:,}"


def _declared(parameters: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in parameters.items())


def tables(found: dict[str, Any]) -> Iterator[Table]:
    """Yield the tables for a terminal."""
    from rich.table import Table

    told = Table("fault", *MONITORS.values(), title=f"median tokens to the alarm, α = {found['alpha']:g}", title_justify="left")
    for line in found["faults"]:
        told.add_row(line["fault"], *(_number(line["tokens"][m]) for m in MONITORS))
    yield told
    clean = Table("correct sampler", "tokens", *MONITORS.values(), title="false alarms", title_justify="left")
    for line in found["correct"]:
        clean.add_row(line["sampler"], f"{line['tokens']:,}", *(str(line["alarms"][m]) for m in MONITORS))
    yield clean


def draw(found: dict[str, Any], path: Path) -> bool:
    """Write the picture as SVG and return whether matplotlib is there to draw it."""
    if importlib.util.find_spec("matplotlib") is None:
        return False
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "samplerfuzz"
    import matplotlib.pyplot as plt

    names = [line["fault"] for line in found["faults"]]
    figure, axis = plt.subplots(figsize=(8, 0.3 * len(names) + 1.4), layout="constrained")
    for marker, (monitor, label) in zip("osD", MONITORS.items(), strict=True):
        points = [(line["tokens"][monitor], row) for row, line in enumerate(found["faults"]) if line["tokens"][monitor] is not None]
        axis.plot(*zip(*points, strict=True) if points else ([], []), marker, markersize=5, linestyle="", label=label)
    axis.set(
        xscale="log", xlabel="tokens until the alarm (median)", yticks=range(len(names)), yticklabels=names,
        title=f"Tokens to detection, false alarms below {found['alpha']:g} for ever",
    )  # fmt: skip
    axis.invert_yaxis()
    axis.grid(visible=True, which="major", alpha=0.3)
    axis.legend(fontsize=8)
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
    return True
