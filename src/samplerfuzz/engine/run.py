"""A run: targets one after the other, one budget, one exit status."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from samplerfuzz.checks.finding import SEVERITIES, Finding
from samplerfuzz.checks.registry import Check, load_all
from samplerfuzz.core.errors import UsageError
from samplerfuzz.engine.campaign import Campaign, Limits
from samplerfuzz.engine.events import Listener, RunFinished, RunStarted, TargetFinished
from samplerfuzz.stats import RUN_BUDGET
from samplerfuzz.targets.target import Target, TargetSpec

CLEAN, FINDINGS, USAGE, NOTHING_TESTED, INTERRUPTED = 0, 1, 2, 3, 130


def select_checks(names: Sequence[str], excluded: Sequence[str]) -> list[Check]:
    """Return the checks named by id or kind (all when none is named), less the excluded ones.

    Raises:
      UsageError: a name that is neither an id nor a kind.
    """
    table = load_all()
    kinds = {c.kind for c in table.values()}
    for name in (*names, *excluded):
        if name not in table and name not in kinds:
            raise UsageError(f"unknown check {name!r}; kinds: {', '.join(sorted(kinds))}; ids: {', '.join(sorted(table))}")

    def named(item: Check, among: Sequence[str]) -> bool:
        return item.id in among or item.kind in among

    return [c for c in table.values() if (not names or named(c, names)) and not named(c, excluded)]


def run(
    targets: Sequence[Target],
    *,
    checks: Sequence[Check],
    seed: int,
    limits: Limits,
    fail_on: str,
    listener: Listener,
    real_rows: Callable[[], np.ndarray | None] = lambda: None,
    settings: dict[str, Any] | None = None,
) -> int:
    """Fuzz every target and return the exit status.

    Args:
      targets: in order; the time of `limits` is shared among them.
      fail_on: lowest severity that makes the status 1.
      real_rows: gives logits of a real model, or None.
    """
    begun = time.monotonic()
    results: list[TargetFinished] = []
    listener(
        RunStarted(
            targets=tuple(t.spec.locator for t in targets),
            settings={
                "seed": seed,
                "max_time": limits.seconds,
                "max_cases": limits.cases,
                "fail_on": fail_on,
                "alpha": RUN_BUDGET.alpha,
                "checks": [c.id for c in checks],
                "python": platform.python_version(),
                "numpy": np.__version__,
                **(settings or {}),
            },
        )
    )
    campaign: Campaign | None = None
    interrupted = False
    try:
        rows = real_rows()
        for index, target in enumerate(targets):
            left = limits.seconds - (time.monotonic() - begun)
            share = max(0.5, left * _weight(target) / sum(_weight(t) for t in targets[index:]))
            applied, skipped = _applicable(checks, target.spec)
            per_target = None if limits.cases is None else max(1, limits.cases // len(targets))
            campaign = Campaign(
                target,
                checks=applied,
                skipped=skipped,
                seed=seed,
                limits=replace(limits, seconds=share, cases=per_target),
                listener=listener,
                real_rows=rows,
            )
            results.append(campaign.run())
            listener(results[-1])
            campaign = None
    except KeyboardInterrupt:
        interrupted = True
        if campaign is not None:
            results.append(campaign._finished())
            listener(results[-1])
    findings = tuple(f for r in results for f in r.findings)
    status, reason = _status(results, findings, fail_on, interrupted)
    listener(RunFinished(status=status, reason=reason, seconds=time.monotonic() - begun, findings=findings, alpha_spent=RUN_BUDGET.spent))
    return status


def _weight(target: Target) -> float:
    """Return a target's part of the time: a longer chain has more to compile and more ways to be wrong."""
    return 3.0 + len(target.spec.order)


def _applicable(checks: Sequence[Check], spec: TargetSpec) -> tuple[list[Check], dict[str, str]]:
    applied = [c for c in checks if c.applies(spec)]
    return applied, {c.id: "not applicable to what this target takes and returns" for c in checks if not c.applies(spec)}


def _status(results: Sequence[TargetFinished], findings: Sequence[Finding], fail_on: str, interrupted: bool) -> tuple[int, str]:
    level = SEVERITIES.index(fail_on)
    serious = [f for f in findings if SEVERITIES.index(f.violation.severity) >= level]
    if interrupted:
        return INTERRUPTED, "interrupted"
    if serious:
        return FINDINGS, f"{len(serious)} finding{'s' * (len(serious) != 1)} at or above {fail_on}"
    untested = [r.target for r in results if not r.outcomes.get("pass")]
    if not results or len(untested) == len(results):
        return NOTHING_TESTED, "no case reached a verdict: every call was refused or inconclusive"
    if untested:
        return NOTHING_TESTED, f"no case reached a verdict for {', '.join(untested)}"
    return CLEAN, "nothing found" if not findings else f"{len(findings)} finding(s) below {fail_on}"
