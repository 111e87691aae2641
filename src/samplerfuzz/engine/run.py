"""A run: targets one after the other, one budget, one exit status."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.cases.corpus import cases_for
from samplerfuzz.checks.finding import SEVERITIES, Finding
from samplerfuzz.checks.registry import Check, load_all
from samplerfuzz.core.errors import UsageError
from samplerfuzz.engine.campaign import Campaign, Limits
from samplerfuzz.engine.events import INTERRUPTED, BudgetReserved, Listener, RunFinished, RunStarted, TargetFinished
from samplerfuzz.engine.history import RunHistory
from samplerfuzz.engine.interrupts import Interrupts
from samplerfuzz.engine.parallel import Opener, jobs_of, run_jobs
from samplerfuzz.stats import ALPHA, ErrorBudget
from samplerfuzz.targets.target import Target, TargetSpec

CLEAN, FINDINGS, USAGE, NOTHING_TESTED = 0, 1, 2, 3


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

    chosen = [c for c in table.values() if (not names or named(c, names)) and not named(c, excluded)]
    if not chosen:
        raise UsageError("no check is left; exclude fewer (`samplerfuzz ls checks` lists them)")
    return chosen


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
    past: RunHistory | None = None,
    accepted: Mapping[str, str] | None = None,
    corpus: Path | None = None,
    workers: int = 1,
    open_target: Opener | None = None,
    alpha: float = ALPHA,
) -> int:
    """Fuzz every target and return the exit status.

    Args:
      targets: in order; the time of `limits` is shared among them.
      checks: bound to the error budget of this run.
      limits: of the whole run, earlier processes included.
      fail_on: lowest severity that makes the status 1.
      listener: gets the events.
      real_rows: gives logits of a real model, or None.
      settings: more of them, to be recorded.
      past: what earlier processes did, or None: finished targets are not fuzzed again, the others go on.
      accepted: id -> reason of known findings: told like the others, and without a say in the status.
      corpus: directory whose cases are thrown first, at the targets that take what they give.
      workers: processes that fuzz side by side; with more than one, `open_target` opens the targets in them.
      alpha: bound on the probability of any false alarm; a run that is one of several has its share of theirs.

    Raises:
      UsageError: a target declares other stages than when the run began.
    """
    if past is not None:
        past.check_declarations(t.spec for t in targets)
    histories = past.by_target if past else {}
    known = dict(accepted or {})
    begun = fuzzing = time.monotonic() - (past.seconds if past else 0.0)
    results: dict[str, TargetFinished] = {name: t.finished for name, t in histories.items() if t.finished is not None}
    budget = ErrorBudget(alpha, started=past.tests if past else 0, reserve=lambda tests: listener(BudgetReserved(tests=tests)))
    checks = [c.within(budget) for c in checks]
    started = RunStarted(
        targets=tuple(t.spec.locator for t in targets),
        settings={
            "seed": seed,
            "max_time": limits.seconds,
            "max_cases": limits.cases,
            "fail_on": fail_on,
            "alpha": budget.alpha,
            "checks": [c.id for c in checks],
            "accepted": known,
            "workers": workers,
            "python": platform.python_version(),
            "numpy": np.__version__,
            **(settings or {}),
        },
        times_resumed=past.started.times_resumed + 1 if past else 0,
    )
    spent = 0.0
    campaign: Campaign | None = None
    was_interrupted = False
    with Interrupts() as interrupts:
        try:
            listener(started)
            with interrupts.unbroken():
                loading = time.monotonic()
                rows = real_rows() if len(results) < len(targets) else None
                fuzzing += time.monotonic() - loading  # the time is the targets'
            one_by_one = targets
            if workers > 1 and open_target is not None:
                one_by_one = ()
                jobs = jobs_of(
                    targets,
                    applied=lambda target: _applicable(checks, target.spec),
                    weight=_weight,
                    workers=workers,
                    seed=seed,
                    limits=limits,
                    accepted=frozenset(known),
                    histories=histories,
                    tests=past.tests if past else 0,
                    alpha=alpha,
                    kept=lambda target: _kept(corpus, target.spec),
                )
                told, spent = run_jobs(jobs, workers=workers, open_target=open_target, rows=rows, listener=listener, interrupts=interrupts)
                results |= told
                interrupts.check()
            for index, target in enumerate(one_by_one):
                history = histories.get(target.spec.locator)
                if history is not None and history.finished is not None:
                    continue
                interrupts.check()
                left = limits.seconds - (time.monotonic() - fuzzing) + (history.seconds if history else 0.0)
                share = max(0.5, left * _weight(target) / sum(_weight(t) for t in one_by_one[index:]))
                applied, skipped = _applicable(checks, target.spec)
                per_target = None if limits.cases is None else max(1, limits.cases // len(targets))
                campaign = Campaign(
                    interrupts.watched(target),
                    checks=applied,
                    skipped=skipped,
                    seed=seed,
                    limits=replace(limits, seconds=share, cases=per_target),
                    listener=listener,
                    real_rows=rows,
                    past=history,
                    accepted=known.keys(),
                    corpus=_kept(corpus, target.spec),
                )
                finished = campaign.run()
                listener(finished)
                results[finished.target] = finished
                campaign = None
        except KeyboardInterrupt:
            was_interrupted = True
        if campaign is not None and campaign.spec.locator not in results:
            finished = campaign.interrupted()
            listener(finished)
            results[finished.target] = finished
        findings = tuple(f for r in results.values() for f in r.findings)
        status, reason = exit_status(list(results.values()), findings, known, fail_on, was_interrupted)
        seconds = time.monotonic() - begun
        listener(RunFinished(status=status, reason=reason, seconds=seconds, findings=findings, alpha_spent=budget.spent + spent))
    return INTERRUPTED if interrupts.count else status


def _weight(target: Target) -> float:
    """Return a target's part of the time: a longer chain has more to compile and more ways to be wrong."""
    return 3.0 + len(target.spec.order)


def _applicable(checks: Sequence[Check], spec: TargetSpec) -> tuple[list[Check], dict[str, str]]:
    applied = [c for c in checks if c.applies(spec)]
    return applied, {c.id: "not applicable to what this target takes and returns" for c in checks if not c.applies(spec)}


def _kept(directory: Path | None, spec: TargetSpec) -> list[Case]:
    return [] if directory is None else list(cases_for(directory, frozenset(spec.parameters), spec.inputs))


def exit_status(
    results: Sequence[TargetFinished], findings: Sequence[Finding], known: Mapping[str, str], fail_on: str, interrupted: bool
) -> tuple[int, str]:
    """Return the status of a run and the reason in a few words."""
    level = SEVERITIES.index(fail_on)
    new = [f for f in findings if f.id not in known]
    serious = [f for f in new if SEVERITIES.index(f.violation.severity) >= level]
    beside = f", {len(findings) - len(new)} known" if len(new) < len(findings) else ""
    if interrupted:
        return INTERRUPTED, "interrupted"
    if serious:
        return FINDINGS, f"{len(serious)} finding{'s' * (len(serious) != 1)} at or above {fail_on}{beside}"
    untested = [r.target for r in results if not r.outcomes.get("pass") or not any(r.checks.values())]
    if not results or len(untested) == len(results):
        return NOTHING_TESTED, "no case reached a verdict: every call was refused or inconclusive"
    if untested:
        return NOTHING_TESTED, f"no case reached a verdict for {', '.join(untested)}"
    if new:
        return CLEAN, f"{len(new)} finding{'s' * (len(new) != 1)} below {fail_on}{beside}"
    return CLEAN, "nothing found" if not findings else f"nothing new{beside}"
