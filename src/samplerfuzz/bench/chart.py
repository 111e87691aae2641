"""A comparison as a picture: one panel a workload and batch, time over vocabulary."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from samplerfuzz.bench.compare import Comparison

INSTALL = "pip install 'samplerfuzz[plot]'"


def can_draw() -> bool:
    """Return whether matplotlib is there."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(comparison: Comparison, path: Path) -> None:
    """Write the picture as SVG."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "samplerfuzz"  # the same comparison gives the same file
    import matplotlib.pyplot as plt

    workloads = list(dict.fromkeys(line.workload for line in comparison.lines))
    batches = list(dict.fromkeys(line.rows for line in comparison.lines))
    figure, axes = plt.subplots(
        len(batches), len(workloads), figsize=(3.2 * len(workloads), 2.8 * len(batches)), squeeze=False, sharex=True, layout="constrained"
    )
    for row, batch in enumerate(batches):
        for column, workload in enumerate(workloads):
            axis = axes[row][column]
            lines = [line for line in comparison.lines if line.rows == batch and line.workload == workload]
            for colour, peer in enumerate(comparison.peers):
                points = [(line.vocabulary, line.times[peer].median) for line in lines if peer in line.times]
                if points:
                    axis.plot(*zip(*points, strict=True), marker="o", markersize=3, color=f"C{colour}", label=peer)
            axis.set(xscale="log", yscale="log", title=f"{workload}, B = {batch}")
            axis.title.set_fontsize(9)
            axis.grid(visible=True, which="both", alpha=0.2)
    for axis in axes[-1]:
        axis.set_xlabel("vocabulary")
    for row_axes in axes:
        row_axes[0].set_ylabel("ms a step")
    axes[0][0].legend(fontsize=8)
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
