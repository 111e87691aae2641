"""What a probe found, as strict JSON data: a section an experiment. Tokens come with their text, escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import samplerfuzz
from samplerfuzz.report.text import json_ready, number, printable

if TYPE_CHECKING:
    from samplerfuzz.probe.atlas import Atlas
    from samplerfuzz.probe.batch.plan import Plan
    from samplerfuzz.probe.census.census import Census
    from samplerfuzz.probe.replication.replicate import Replication

Show = Callable[[int], str]
_LISTED = 200
_EDGES = np.linspace(-9, 0, 37)


def atlas_json(atlas: Atlas, *, model: str, prompts: list[str], show: Show, text: Callable[[list[int]], str]) -> dict[str, Any]:
    """Return the atlas as JSON data: β as numbers or "inf"."""
    from samplerfuzz.probe.atlas import BETAS
    from samplerfuzz.probe.kept import KEPT_BETAS

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
            "kept": {
                kept.technique: {"parameters": kept.parameters, "count": kept.count, "mass": kept.mass, "same_tokens": kept.same}
                for kept in row.kept
            },
            "laws": [{"law": law.name, "worst": law.worst, "beta": law.beta, "holds": law.holds} for law in row.laws],
        }
        for prompt, row in zip(prompts, atlas.rows, strict=True)
    ]
    return _ready({
        **_head("atlas", model),
        "beta": BETAS,
        "kept_beta": KEPT_BETAS,
        "rows": rows,
        "texts": [{"temperature": t, "texts": [text(ids) for ids in texts]} for t, texts in atlas.texts.items()],
        "laws_hold": not atlas.broken,
    })  # fmt: skip


def census_json(census: Census, *, model: str, show: Show, truth: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return the census as JSON data; `truth`: AUC of each indicator against what the training met, where that is known."""
    from samplerfuzz.probe.census.verification import PROMPTS, THRESHOLD

    kinds, counts = np.unique(census.category, return_counts=True)
    asked, most = census.asked.ids, census.asked.most
    drawn = np.isin(asked, census.controls)
    probability = dict(zip(asked.tolist(), most.tolist(), strict=True))
    least, written = census.contexts.argmin, int(census.contexts.seen.sum())
    frequent = [int(i) for i in np.argsort(-least, kind="stable")[:_LISTED] if least[i]]
    return _ready({
        **_head("census", model),
        "vocabulary": len(census.category),
        "categories": dict(zip(kinds.tolist(), counts.tolist(), strict=True)),
        "unused": {"ids": census.unused, "why": census.why},
        "contexts": census.contexts.count,
        "tokens_written": written,
        "least_likely": [{"token": i, "text": show(i), "contexts": int(least[i]), "p": probability.get(i)} for i in frequent],
        "least_likely_distinct": int((least > 0).sum()),
        "never_most_likely": int((census.contexts.argmax == 0).sum()),
        "prompts": [before + "TOKEN" + between for before, between in PROMPTS],
        "threshold": THRESHOLD,
        "asked": len(asked),
        "asked_by_category": {kind: int((census.category[asked] == kind).sum()) for kind in kinds.tolist()},
        "cannot_be_said_by_category": {kind: int((most[census.category[asked] == kind] < THRESHOLD).sum()) for kind in kinds.tolist()},
        "controls": len(census.controls),
        "controls_verified": int((most[drawn] < THRESHOLD).sum()),
        "repeats": census.repeats,
        "anomalous": len(census.anomalous),
        "worst": [
            {"token": int(i), "text": show(int(i)), "category": str(census.category[i]), "p": probability[int(i)]}
            for i in census.anomalous[:_LISTED]
        ],
        "histogram": {"log10_p": _EDGES, "asked": _histogram(most[~drawn]), "controls": _histogram(most[drawn])},
        "scores": [{**vars(score), "precision": score.precision} for score in census.scores],
        "truth": truth,
    })  # fmt: skip


def replication_json(found: Replication, *, model: str, prompts: list[str], show: Show, text: Callable[[list[int]], str]) -> dict[str, Any]:
    """Return the replication as JSON data."""
    from samplerfuzz.probe.replication.replicate import COLD, INSTRUCTIONS

    return _ready({
        **_head("replication", model),
        "temperature": COLD,
        "texts": [
            {"prompt": prompt, "ids": ids, "text": text(ids), "loop": vars(loop)}
            for prompt, ids, loop in zip(prompts, found.texts, found.loops, strict=True)
        ],
        "ordinary": {"ids": found.ordinary, "text": text(found.ordinary)},
        "counts": [{"token": token, "text": show(token), "printed": count} for token, count in found.counts.items()],
        "printed": found.printed,
        "controls": found.controls,
        "instructions": [before + "TOKEN" + after for before, after in INSTRUCTIONS],
        "claims": [vars(claim) for claim in found.claims],
        "stability": found.stability,
        "shuffled": vars(found.shuffled),
        "random_states": vars(found.random_states),
        "hull": {kind: vars(against) for kind, against in found.hull.items()},
    })  # fmt: skip


def batch_json(plan: Plan, summary: dict[str, Any], *, model: str) -> dict[str, Any]:
    """Return what the page shows of a batch as JSON data: its first configurations; `summary` is that of `merge` and has all."""
    shown = summary["configurations"][:_LISTED]
    return _ready({
        **_head("batch", model),
        "plan": summary["plan"],
        "rows": summary["rows"],
        "tokens": summary["tokens"],
        "prompts": len(plan.prompts),
        "first_prompt": printable(plan.prompts[0]),
        "seeds": len(plan.seeds),
        "max_new_tokens": plan.new_tokens,
        "configurations_in_all": len(summary["configurations"]),
        "configurations": [{**entry, "first_text": printable(entry["first_text"])} for entry in shown],
    })  # fmt: skip


def configuration_label(parameters: Mapping[str, float | str]) -> str:
    """Return the parameters of a configuration as people read them.

    >>> configuration_label({"temperature": -0.001, "top_k": 5.0}), configuration_label({})
    ('T -0.001, top_k 5', 'as the model is')
    """
    told = (f"{'T' if name == 'temperature' else name} {number(value)}" for name, value in parameters.items())
    return ", ".join(told) or "as the model is"


def _head(section: str, model: str) -> dict[str, Any]:
    return {"samplerfuzz": samplerfuzz.__version__, "section": section, "model": model}


def _ready(data: dict[str, Any]) -> dict[str, Any]:
    ready: dict[str, Any] = json_ready(data)
    return ready


def _histogram(p: np.ndarray) -> np.ndarray:
    return np.histogram(np.log10(np.clip(p, 10.0 ** _EDGES[0], 1.0)), _EDGES)[0]
