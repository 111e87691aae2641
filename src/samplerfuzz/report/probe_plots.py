"""Plots of a probe, as SVG that a page holds inline. They take the page's colours, dark or light."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from samplerfuzz.probe.atlas import MARKED, TEMPERATURES, Atlas

INSTALL = "pip install 'samplerfuzz[plot]'"
Plot = Callable[[Any, Atlas], None]


def can_draw() -> bool:
    """Return whether matplotlib is there."""
    return importlib.util.find_spec("matplotlib") is not None


def plots(atlas: Atlas) -> list[tuple[str, str]]:
    """Return caption and SVG of every plot; none where matplotlib is missing."""
    return [(caption, _svg(draw, atlas)) for caption, draw in _PLOTS.items()] if can_draw() else []


def compact(beta: np.ndarray) -> np.ndarray:
    """Return where β is drawn, in [−1, 1]: 0 in the middle, ±1 halfway, ±∞ at the ends.

    >>> compact(np.array([-np.inf, -1.0, 0.0, 1.0, np.inf])).tolist()
    [-1.0, -0.5, 0.0, 0.5, 1.0]
    """
    return np.asarray(2 / np.pi * np.arctan(beta))


def _entropy(axis: Any, atlas: Atlas) -> None:
    for row in atlas.rows:
        axis.plot(compact(row.exact.beta), row.exact.entropy, linewidth=1.2)
    axis.set_ylabel("entropy (nats)")
    _mark(axis)


def _mean(axis: Any, atlas: Atlas) -> None:
    for row in atlas.rows:
        axis.plot(compact(row.exact.beta), row.exact.mean, linewidth=1.2)
    axis.set_ylabel("mean logit E[z]")
    _mark(axis)


def _count(axis: Any, atlas: Atlas) -> None:
    for index, name in enumerate(kept.filter for kept in atlas.rows[0].kept):
        counts = np.median([row.kept[index].count for row in atlas.rows], axis=0)
        axis.plot(TEMPERATURES, counts, label=name, linewidth=1.4)
    axis.set(xscale="log", yscale="log", xlabel="temperature", ylabel="tokens kept (median of the prompts)")
    axis.legend(fontsize=8, framealpha=0)


def _mass(axis: Any, atlas: Atlas) -> None:
    for index, name in enumerate(kept.filter for kept in atlas.rows[0].kept):
        axis.plot(TEMPERATURES, np.median([row.kept[index].mass for row in atlas.rows], axis=0), label=name, linewidth=1.4)
    axis.set(xscale="log", xlabel="temperature", ylabel="probability kept (median of the prompts)", ylim=(0, 1.02))
    axis.legend(fontsize=8, framealpha=0)


_PLOTS: dict[str, Plot] = {
    "Entropy of the next token against inverse temperature, one line a prompt": _entropy,
    "Mean logit of the next token: it never falls as β grows": _mean,
    "Tokens that each filter keeps: top-nσ keeps the same ones at every temperature": _count,
    "Probability that each filter keeps": _mass,
}


def _mark(axis: Any) -> None:
    places = compact(np.array(list(MARKED.values())))
    axis.set_xticks(places, list(MARKED), fontsize=8)
    for place in places:
        axis.axvline(place, linewidth=0.6, alpha=0.35, color="gray")
    axis.set_xlabel("β = 1/T, from −∞ to ∞ (arctan scale)")


def _svg(draw: Plot, atlas: Atlas) -> str:
    with _figure() as (figure, axis):
        draw(axis, atlas)
        axis.grid(visible=True, alpha=0.2)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)
    svg = text.getvalue()
    return svg[svg.index("<svg") :].replace("#000000", "currentColor")


@contextmanager
def _figure() -> Iterator[tuple[Any, Any]]:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "samplerfuzz"  # the same atlas gives the same page
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    try:
        yield figure, axis
    finally:
        plt.close(figure)
