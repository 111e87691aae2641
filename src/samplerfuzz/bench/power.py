"""How many draws it takes to see a bias: the e-process of the draw checks on simulated draws of known bias."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from samplerfuzz.core.seeding import stream
from samplerfuzz.stats import ErrorBudget, log_e_value

SIZES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)
LAW = np.array([0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.04, 0.01])
_MOST = 2.0**31
_STEP = 1.2  # how far apart the numbers of draws are that the evidence is looked at


def _one_token(p: np.ndarray, size: float) -> np.ndarray:
    q = p.copy()
    q[2] *= 1 + size
    return q


def _tail(p: np.ndarray, size: float) -> np.ndarray:
    q = p.copy()
    q[-1] *= 1 - size
    return q


def _temperature(p: np.ndarray, size: float) -> np.ndarray:
    return np.asarray(p ** (1 / (1 + size)))


def _towards_low_ids(p: np.ndarray, size: float) -> np.ndarray:
    return p * (1 + size * np.linspace(0.5, -0.5, len(p)))


BIASES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "one token too likely": _one_token,
    "the rarest token too rare": _tail,
    "temperature too high": _temperature,
    "low ids too likely": _towards_low_ids,
}


def power(*, repeats: int, seed: int) -> dict[str, Any]:
    """Return for every kind and size of bias the median number of draws until the first test of a run accuses; None: more than 2³¹."""
    threshold = ErrorBudget().next_threshold()
    table: dict[str, list[int | None]] = {}
    for kind, bias in BIASES.items():
        table[kind] = []
        for size in SIZES:
            q = bias(LAW, size)
            rng = stream(seed, "power", kind, size)
            needed = sorted(_draws_until(rng, q / q.sum(), threshold) for _ in range(repeats))
            middle = needed[repeats // 2]
            table[kind].append(None if np.isinf(middle) else int(middle))
    return {"law": LAW.tolist(), "sizes": list(SIZES), "threshold": round(threshold, 3), "repeats": repeats, "seed": seed, "draws": table}


def _draws_until(rng: np.random.Generator, q: np.ndarray, threshold: float) -> float:
    counts, total, goal = np.zeros(len(q)), 0, 32.0
    while goal <= _MOST:
        counts += rng.multinomial(int(goal) - total, q)
        total = int(goal)
        if log_e_value(counts, LAW, LAW) >= threshold:
            return total
        goal *= _STEP
    return float("inf")


def markdown(found: dict[str, Any], chart: str = "") -> str:
    """Return the table as a document; `chart` is the path of its picture, if there is one."""
    head = ["size of the bias", *found["draws"]]
    columns = zip(*found["draws"].values(), strict=True)
    rows = [[f"{size:.1%}", *("–" if n is None else f"{n:,}" for n in draws)] for size, draws in zip(found["sizes"], columns, strict=True)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---:"] * len(head), *rows))
    return (
        "\n\n".join(
            [
                "# Draws to detection",
                "Written by `samplerfuzz bench power`. The median number of draws after which the e-process of `draw_frequencies_match` accuses a sampler with a "
                f"bias of known size, over {found['repeats']} repeats. The threshold is that of the first test of a run, ln e = {found['threshold']}, which keeps "
                "the probability of any false alarm of the run below 1e-6; a later test needs a little more. "
                f"The honest law has {len(found['law'])} tokens: {', '.join(map(str, found['law']))}.",
                table,
                *([f"![Draws to detection against size of bias]({chart})"] if chart else []),
            ]
        )
        + "\n"
    )


def draw(found: dict[str, Any], path: Path) -> bool:
    """Write the picture as SVG and return whether matplotlib is there to draw it."""
    if importlib.util.find_spec("matplotlib") is None:
        return False
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "samplerfuzz"
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for kind, draws in found["draws"].items():
        points = [(size, n) for size, n in zip(found["sizes"], draws, strict=True) if n is not None]
        axis.plot(*zip(*points, strict=True), marker="o", markersize=4, label=kind)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="size of the bias",
        ylabel="draws until it is told",
        title="Draws to detection, false alarms below 1e-6 a run",
    )
    axis.grid(visible=True, which="both", alpha=0.2)
    axis.legend(fontsize=9)
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
    return True
