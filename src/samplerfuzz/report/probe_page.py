"""What a probe found, as data and as one offline page. Every token is shown escaped: a model may have any text in its vocabulary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import jinja2

import samplerfuzz
from samplerfuzz.probe.atlas import BETAS, MARKED, TEMPERATURES, Atlas
from samplerfuzz.report.probe_plots import INSTALL, plots
from samplerfuzz.report.text import json_ready, number

Show = Callable[[int], str]


def atlas_json(atlas: Atlas, *, model: str, prompts: list[str], show: Show, text: Callable[[list[int]], str]) -> dict[str, Any]:
    """Return the atlas as JSON data: β as numbers or "inf", tokens with their escaped text."""

    def named(pairs: list[tuple[int, float]]) -> list[dict[str, Any]]:
        return [{"token": token, "text": show(token), "logit": logit} for token, logit in pairs]

    rows = [
        {
            "prompt": prompt,
            "ids": row.prompt,
            "entropy": row.exact.entropy,
            "varentropy": row.exact.varentropy,
            "mean_logit": row.exact.mean,
            "top": named(row.top),
            "bottom": named(row.bottom),
            "argmin_margin": row.margin,
            "argmin_ulp": row.ulp,
            "kept": {kept.filter: {"count": kept.count, "mass": kept.mass, "same_tokens": kept.same} for kept in row.kept},
            "laws": [{"law": law.name, "worst": law.worst, "beta": law.beta, "holds": law.holds} for law in row.laws],
        }
        for prompt, row in zip(prompts, atlas.rows, strict=True)
    ]
    data = {
        "samplerfuzz": samplerfuzz.__version__,
        "model": model,
        "beta": BETAS,
        "temperatures": TEMPERATURES,
        "rows": rows,
        "texts": [{"temperature": t, "texts": [text(ids) for ids in texts]} for t, texts in atlas.texts.items()],
        "laws_hold": not atlas.broken,
    }
    ready: dict[str, Any] = json_ready(data)
    return ready


def probe_page(data: dict[str, Any], atlas: Atlas, *, show: Show) -> str:
    """Return the page of `atlas_json`'s data."""
    least = Counter(row.bottom[0][0] for row in atlas.rows)
    at = [list(BETAS).index(beta) for beta in MARKED.values()]
    return _template().render(
        data=data,
        version=samplerfuzz.__version__,
        broken=atlas.broken,
        laws=_laws(atlas),
        marked=list(MARKED),
        entropies=[[number(row.exact.entropy[index]) for index in at] for row in atlas.rows],
        least=[(show(token), token, count) for token, count in least.most_common(24)],
        most=max(least.values()),
        plots=plots(atlas),
        install=INSTALL,
        number=number,
    )


def _laws(atlas: Atlas) -> list[tuple[str, float, bool]]:
    """Return name, worst departure of all rows, and whether it holds, of each law."""
    names = [law.name for law in atlas.rows[0].laws]
    worst = {name: max(law.worst for row in atlas.rows for law in row.laws if law.name == name) for name in names}
    return [(name, value, value <= 1) for name, value in worst.items()]


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("samplerfuzz.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("probe.html.j2")
