"""report.html: the run as one page that needs nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import jinja2
import numpy as np

from samplerfuzz.checks.finding import Finding
from samplerfuzz.report.evidence import Evidence, TokenRow, evidence
from samplerfuzz.report.finding_text import bounds, given_lines, stages, verdict_lines
from samplerfuzz.report.pages import template
from samplerfuzz.report.schema import FindingEntry, Report, TargetEntry
from samplerfuzz.report.text import compact, count, number, printable, shortest

_VERDICTS = {0: ("clean", "✓", "No bugs found"), 1: ("bad", "✗", ""), 130: ("unsure", "…", "Interrupted")}
_TOKENS = 48


def report_html(report: Report, findings: Sequence[Finding], sources: Mapping[str, str]) -> str:
    """Return the page.

    Args:
      report: the run.
      findings: the same findings as `report.findings`, in the same order, as found.
      sources: id -> text of the reproducer.
    """
    tone, mark, verdict = _VERDICTS.get(report.status, ("unsure", "?", "Nothing could be tested"))
    new = [f for f in report.findings if not f.known]
    if new:
        names = len({f.target for f in new})
        verdict = f"{len(new)} finding{'s' * (len(new) != 1)} in {names} target{'s' * (names != 1)}"
    elif report.findings:
        verdict = "Nothing new found"
    pairs, spent = sum(t.pairs for t in report.targets), sum(t.seconds for t in report.targets)
    return _template().render(
        report=report,
        tone=tone,
        mark=mark,
        verdict=verdict,
        started=datetime.fromisoformat(report.started).strftime("%Y-%m-%d %H:%M %Z").strip(),
        totals={
            "pairs": pairs,
            "calls": sum(t.calls for t in report.targets),
            "draws": sum(t.draws for t in report.targets),
            "rate": pairs / spent if spent else 0,
        },
        cards=[_card(f, e, sources.get(f.id, "")) for f, e in zip(findings, report.findings, strict=True)],
        targets=[_target(t, report) for t in report.targets],
        regimes=_regimes(report),
        strategies=_strategies(report),
        behaviour=_behaviour(report),
        checks=_checks(report),
        settings=[(name, _setting(value)) for name, value in report.settings.items() if value is not None],
    )


@cache
def _template() -> jinja2.Template:
    return template("report.html.j2", compact=compact, count=count, printable=printable, printable_lines=_printable_lines, seconds=_seconds)


@dataclass(frozen=True, kw_only=True)
class _Bar:
    """A token's bar: everything in percent of the widest."""

    row: TokenRow
    logit: str
    bounds: str
    got: str
    low: float
    high: float | None
    width: float


def _card(finding: Finding, entry: FindingEntry, source: str) -> dict[str, Any]:
    data = evidence(finding, _TOKENS)
    rows = data.rows if data else ()
    return {
        "entry": entry,
        "name": finding.target.rpartition(":")[2],
        "stages": stages(finding),
        "inputs": given_lines(finding),
        "verdict": verdict_lines(finding),
        "evidence": data,
        "bars": _bars(data) if data else [],
        "has_roles": any(r.role for r in rows),
        "has_bounds": any(r.high is not None for r in rows),
        "source": source,
        "data": json.dumps({"case": entry.case.model_dump(mode="json"), "expected": entry.expected, "observed": entry.observed}, indent=1),
    }


def _bars(data: Evidence) -> list[_Bar]:
    widest = max([x for r in data.rows for x in (r.got, r.high) if x is not None and np.isfinite(x)] + [1e-300])

    def percent(x: float | None) -> float:
        return round(100 * x / widest, 3) if x is not None and np.isfinite(x) else 0.0

    return [
        _Bar(
            row=r,
            logit=shortest(np.float32(r.logit)),
            bounds=bounds(r.low, r.high),
            got="–" if r.got is None else number(r.got),
            low=percent(r.low),
            high=None if r.high is None else percent(r.high),
            width=percent(r.got),
        )
        for r in data.rows
    ]


def _target(entry: TargetEntry, report: Report) -> dict[str, Any]:
    where, _, name = entry.target.rpartition(":")
    tones = {"pass": "pass", "refused": "refused", "finding": "finding"}
    order = sorted(entry.outcomes.items(), key=lambda item: (item[0] != "finding", item[0] != "pass", -item[1]))
    split = [{"name": key, "n": n, "share": n, "tone": tones.get(key, "other")} for key, n in order if n]
    return {
        "entry": entry,
        "name": name,
        "where": where,
        "split": split,
        "findings": [f for f in report.findings if f.target == entry.target],
    }


def _regimes(report: Report) -> list[dict[str, Any]]:
    total: Counter[str] = Counter()
    for t in report.targets:
        total.update(t.covered)
    widest = max([*total.values(), 1])
    return [{"name": name, "n": n, "width": round(100 * n / widest, 2)} for name, n in total.most_common()]


def _strategies(report: Report) -> list[dict[str, Any]]:
    cases: Counter[str] = Counter()
    new: Counter[str] = Counter()
    for t in report.targets:
        for name, n in t.strategies.items():
            cases[name] += n["cases"]
            new[name] += n["new"]
    widest = max([new[name] / n for name, n in cases.items() if n] + [1e-9])
    return [{"name": name, "n": n, "new": new[name], "width": round(100 * new[name] / n / widest, 2)} for name, n in cases.most_common()]


def _behaviour(report: Report) -> dict[str, Any] | None:
    """Return the coverage matrix: parameters down, regimes across, classes of value and answer met as shade."""
    table: dict[str, Counter[str]] = {}
    for t in report.targets:
        for name, row in t.matrix.items():
            table.setdefault(name, Counter()).update(row)
    if not table:
        return None
    total: Counter[str] = Counter()
    for row in table.values():
        total.update(row)
    regimes = [name for name, _ in total.most_common()]
    most = max(max(row.values(), default=1) for row in table.values())
    rows = [
        {"name": name, "cells": [{"n": row[r], "shade": round(0.12 + 0.88 * row[r] / most, 2) if row[r] else 0} for r in regimes]}
        for name, row in sorted(table.items())
    ]
    late = [t for t in report.targets if t.cells and t.last_new > 0.5 * t.seconds]
    return {"regimes": regimes, "rows": rows, "cells": sum(t.cells for t in report.targets), "late": len(late)}


def _checks(report: Report) -> list[dict[str, Any]]:
    judged: Counter[str] = Counter()
    notes: dict[str, str] = {}
    for t in report.targets:
        judged.update(t.checks)
        notes |= dict.fromkeys(t.skipped, "not applicable")
    names = sorted({*judged, *notes}, key=lambda name: (-judged[name], name))
    return [{"name": name, "n": judged[name], "note": notes.get(name, "no verdict")} for name in names]


def _setting(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _printable_lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.splitlines())


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"
