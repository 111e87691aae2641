"""Plots of a probe, as SVG that a page holds inline. They take the page's colours, dark or light."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from samplerfuzz.core.registry import parameter
from samplerfuzz.report.probe.data import configuration_label

INSTALL = "pip install 'samplerfuzz[plot]'"
# what engines call greedy, as trained, uniform, inverted, anti-greedy
MARKED = {"greedy": np.inf, "T = 1": 1.0, "T = ±∞": 0.0, "T = −1": -1.0, "T → 0⁻": -np.inf}
# beside each other over T > 0
COMPARED = ("top_n_sigma", "top_p", "min_p", "top_k")
_SHADES = 20
_NAMED = 8
Plot = Callable[[Any, dict[str, Any]], None]


def can_draw() -> bool:
    """Return whether matplotlib is there."""
    return importlib.util.find_spec("matplotlib") is not None


def plots(section: dict[str, Any]) -> list[tuple[str, str]]:
    """Return caption and SVG of every plot of a section's data; none where matplotlib is missing."""
    return [(caption, svg(draw, section)) for caption, draw in _PLOTS[section["section"]].items()] if can_draw() else []


def svg(draw: Callable[[Any, Any], None], data: Any) -> str:
    """Return what `draw(axis, data)` draws, as SVG to be put into a page; "" where matplotlib is missing."""
    if not can_draw():
        return ""
    with _figure() as (figure, axis):
        draw(axis, data)
        axis.grid(visible=True, alpha=0.2)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :].replace("#000000", "currentColor")


def compact(beta: np.ndarray) -> np.ndarray:
    """Return where β is drawn, in [−1, 1]: 0 in the middle, ±1 halfway, ±∞ at the ends.

    >>> compact(np.array([-np.inf, -1.0, 0.0, 1.0, np.inf])).tolist()
    [-1.0, -0.5, 0.0, 0.5, 1.0]
    """
    return np.asarray(2 / np.pi * np.arctan(beta))


def kept_median(atlas: dict[str, Any], technique: str, what: str) -> np.ndarray:
    """Return the median over the prompts [K] of the `what` ("count" or "mass") that a technique keeps at each of `kept_beta`."""
    return np.asarray(np.median([_floats(row["kept"][technique][what]) for row in atlas["rows"]], axis=0))


def kept_label(atlas: dict[str, Any], technique: str) -> str:
    """Return a technique with what it was given, a switch without its value."""
    given = atlas["rows"][0]["kept"][technique]["parameters"]
    return ", ".join(name if parameter(name).kind == "switch" else f"{name} {value:g}" for name, value in given.items())


def _entropy(axis: Any, atlas: dict[str, Any]) -> None:
    for row in atlas["rows"]:
        axis.plot(compact(_floats(atlas["beta"])), _floats(row["entropy"]), linewidth=1.2)
    axis.set_ylabel("entropy (nats)")
    _mark(axis)


def _mean(axis: Any, atlas: dict[str, Any]) -> None:
    for row in atlas["rows"]:
        axis.plot(compact(_floats(atlas["beta"])), _floats(row["mean_logit"]), linewidth=1.2)
    axis.set_ylabel("mean logit E[z]")
    _mark(axis)


def _count(axis: Any, atlas: dict[str, Any]) -> None:
    _over_temperature(axis, atlas, "count")
    axis.set(yscale="log", ylabel="tokens kept (median of the prompts)")


def _mass(axis: Any, atlas: dict[str, Any]) -> None:
    _over_temperature(axis, atlas, "mass")
    axis.set(ylabel="probability kept (median of the prompts)", ylim=(0, 1.02))


def _over_temperature(axis: Any, atlas: dict[str, Any], what: str) -> None:
    beta = _floats(atlas["kept_beta"])
    at = np.flatnonzero((beta > 0) & np.isfinite(beta))
    for technique in COMPARED:
        axis.plot(1 / beta[at], kept_median(atlas, technique, what)[at], label=kept_label(atlas, technique), linewidth=1.4)
    axis.set(xscale="log", xlabel="temperature")
    axis.legend(fontsize=8, framealpha=0)


def _every_count(axis: Any, atlas: dict[str, Any]) -> None:
    from matplotlib.colors import LogNorm

    most = max(kept_median(atlas, technique, "count").max() for technique in atlas["rows"][0]["kept"])
    _every(axis, atlas, "count", LogNorm(1, max(most, 2)), "tokens kept")


def _every_mass(axis: Any, atlas: dict[str, Any]) -> None:
    from matplotlib.colors import Normalize

    _every(axis, atlas, "mass", Normalize(0, 1), "probability kept")


def _every(axis: Any, atlas: dict[str, Any], what: str, norm: Any, label: str) -> None:
    """Draw a row of colours a technique, from β = −∞ to ∞; neighbours of one colour are one bar, which keeps the page small."""
    import matplotlib as mpl

    shades = mpl.cm.ScalarMappable(norm, mpl.colormaps["viridis"].resampled(_SHADES))
    places = compact(_floats(atlas["kept_beta"]))
    edges = np.array([-1.02, *(places[1:] + places[:-1]) / 2, 1.02])
    techniques = list(atlas["rows"][0]["kept"])[::-1]
    for place, technique in enumerate(techniques):
        colours = shades.to_rgba(kept_median(atlas, technique, what))
        begins = np.flatnonzero([True, *(colours[1:] != colours[:-1]).any(-1)])
        bounds = [*edges[begins], edges[-1]]
        axis.broken_barh([*zip(bounds, np.diff(bounds), strict=False)], (place - 0.5, 1), facecolors=colours[begins])
    axis.set_yticks(range(len(techniques)), [kept_label(atlas, technique) for technique in techniques], fontsize=7.5)
    axis.set(xlim=(edges[0], edges[-1]), ylim=(-0.5, len(techniques) - 0.5), axisbelow=True)
    axis.figure.colorbar(shades, ax=axis, label=label, pad=0.02)
    _mark(axis)


def _said(axis: Any, census: dict[str, Any]) -> None:
    told = census["histogram"]
    edges = _floats(told["log10_p"])
    for name, label in (("controls", "drawn at random"), ("asked", "suspected by an indicator")):
        counts = _floats(told[name])
        axis.stairs(counts / max(counts.sum(), 1), edges, fill=True, alpha=0.45, label=label)
    axis.axvline(np.log10(census["threshold"]), linewidth=1, linestyle="--", color="gray")
    axis.set(xlabel="log₁₀ of the largest probability of saying the token once more", ylabel="share of the tokens asked")
    axis.legend(fontsize=8, framealpha=0, loc="upper left")


def _indicators(axis: Any, census: dict[str, Any]) -> None:
    scores = [score for score in census["scores"] if isinstance(score["precision"], float)][::-1]
    places = np.arange(len(scores))
    precision = np.array([score["precision"] for score in scores])
    low, high = (np.array([score[end] for score in scores]) for end in ("low", "high"))
    axis.barh(places, precision, xerr=np.clip([precision - low, high - precision], 0, 1), height=0.6, alpha=0.7, ecolor="gray")
    axis.set_yticks(places, [score["indicator"] for score in scores], fontsize=8)
    base = census["controls_verified"] / max(census["controls"], 1)
    axis.axvline(base, linewidth=1, linestyle="--", color="gray", label=f"tokens drawn at random: {base:.1%}")
    axis.set(xlabel="share of its candidates that cannot be said (95 % interval)", xlim=(0, 1))
    axis.legend(fontsize=8, framealpha=0, loc="lower right")


def _claims(axis: Any, found: dict[str, Any]) -> None:
    claims = [claim for claim in found["claims"] if isinstance(claim["estimate"], float)][::-1]
    for place, claim in enumerate(claims):
        axis.plot([claim["low"], claim["high"]], [place, place], linewidth=5, alpha=0.4, solid_capstyle="butt", color="tab:blue")
        axis.plot(claim["estimate"], place, "o", color="tab:blue")
        if isinstance(claim["controls"], float):
            axis.plot(claim["controls"], place, "x", color="tab:orange")
    axis.set_yticks(range(len(claims)), [f"{claim['text']}: {claim['verdict']}" for claim in claims], fontsize=7.5)
    axis.axvline(0.5, linewidth=1, linestyle="--", color="gray")
    axis.set(xlabel="printed tokens (95 %); × their controls", xlim=(-0.02, 1.02), ylim=(-0.6, len(claims) - 0.4))


def _likely(axis: Any, batch: dict[str, Any]) -> None:
    _of_configurations(axis, batch, lambda entry: entry["mean_model_surprisal"])
    axis.set_ylabel("surprisal of the model (nats a token)")


def _looping(axis: Any, batch: dict[str, Any]) -> None:
    _of_configurations(axis, batch, lambda entry: entry["looping"] / entry["rows"])
    axis.set(ylabel="share of the texts", ylim=(-0.03, 1.03))


def _of_configurations(axis: Any, batch: dict[str, Any], value: Callable[[dict[str, Any]], float]) -> None:
    """Draw a mark a configuration, a line through those that differ in temperature alone."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for entry in batch["configurations"]:
        if entry["tokens"]:
            rest = {name: given for name, given in entry["parameters"].items() if name != "temperature"}
            lines.setdefault(configuration_label(rest) if rest else "temperature alone", []).append(
                (_beta(entry["parameters"]), value(entry))
            )
    for label, points in lines.items():
        beta, values = np.array(sorted(points)).T
        axis.plot(compact(beta), values, "o-", label=label, linewidth=1.2, markersize=4, alpha=0.75)
    if len(lines) <= _NAMED:
        axis.legend(fontsize=8, framealpha=0)
    _mark(axis)


def _beta(parameters: dict[str, Any]) -> float:
    temperature = float(parameters.get("temperature", 1.0))
    return 1 / temperature if temperature else np.inf


_PLOTS: dict[str, dict[str, Plot]] = {
    "atlas": {
        "Entropy of the next token against inverse temperature, one line a prompt": _entropy,
        "Mean logit of the next token: it never falls as β grows": _mean,
        "Tokens that every technique keeps at every temperature (median of the prompts)": _every_count,
        "Probability of what every technique keeps": _every_mass,
        "Tokens kept at T > 0: top-nσ keeps the same ones at every temperature": _count,
        "Probability kept at T > 0": _mass,
    },
    "census": {
        "Can the model say a token that it has just been shown? Left of the line it cannot": _said,
        "Of the tokens that an indicator suspects, how many cannot be said": _indicators,
    },
    "replication": {"What was claimed of the tokens that are printed at T = −0.001": _claims},
    "batch": {
        "How unlikely the texts of a configuration are to the model itself, at T = 1": _likely,
        "Texts that fall into a loop": _looping,
    },
}


def _floats(values: list[Any]) -> np.ndarray:
    return np.array([float(value) for value in values])


def _mark(axis: Any) -> None:
    places = compact(np.array(list(MARKED.values())))
    axis.set_xticks(places, list(MARKED), fontsize=8)
    for place in places:
        axis.axvline(place, linewidth=0.6, alpha=0.35, color="gray")
    axis.set_xlabel("β = 1/T, from −∞ to ∞ (arctan scale)")


@contextmanager
def _figure() -> Iterator[tuple[Any, Any]]:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "samplerfuzz"  # the same data give the same page
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    try:
        yield figure, axis
    finally:
        plt.close(figure)
