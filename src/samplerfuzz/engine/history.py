"""What a run has done so far, read back from its events: how a killed run goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from samplerfuzz.checks.finding import Finding
from samplerfuzz.core.errors import UsageError
from samplerfuzz.engine.events import (
    INTERRUPTED,
    BudgetReserved,
    Checkpoint,
    Event,
    FindingConfirmed,
    FindingFound,
    RunFinished,
    RunStarted,
    TargetFinished,
    TargetStarted,
)
from samplerfuzz.targets.target import TargetSpec


@dataclass(frozen=True, kw_only=True)
class TargetHistory:
    """One target of the run so far.

    Attributes:
      started: its declaration.
      checkpoint: the last numbers, or None.
      findings: those found, seen as often as the checkpoint says.
      confirmed: those that a kill kept from being shrunk.
      finished: its summary, once it has had its share.
      times_resumed: processes in which it went on.
      cells: behaviour met.
    """

    started: TargetStarted
    checkpoint: Checkpoint | None = None
    findings: tuple[Finding, ...] = ()
    confirmed: tuple[Finding, ...] = ()
    finished: TargetFinished | None = None
    times_resumed: int = 0
    cells: frozenset[int] = frozenset()

    @property
    def seconds(self) -> float:
        """Time the target has used."""
        last = self.finished or self.checkpoint
        return 0.0 if last is None else last.seconds

    def after(self, event: Event) -> TargetHistory:
        """Return the history with one more event of this target."""
        if isinstance(event, TargetStarted):
            return replace(self, started=event, times_resumed=self.times_resumed + 1)
        if isinstance(event, Checkpoint):
            seen = tuple(replace(f, repeats=event.repeats.get(f.id, f.repeats)) for f in self.findings)
            return replace(self, checkpoint=event, findings=seen, cells=self.cells.union(event.cells))
        if isinstance(event, FindingConfirmed):
            return replace(self, confirmed=(*_without(self.confirmed, event.finding), event.finding))
        if isinstance(event, FindingFound):
            return self._with(event.finding)
        if isinstance(event, TargetFinished):
            last = self
            for finding in event.findings:
                last = last._with(finding)
            return replace(last, finished=event if event.complete else self.finished)
        return self

    def _with(self, finding: Finding) -> TargetHistory:
        known = [f.id for f in self.findings]
        findings = [finding if f.id == finding.id else f for f in self.findings] + [finding] * (finding.id not in known)
        return replace(self, findings=tuple(findings), confirmed=_without(self.confirmed, finding))


@dataclass(frozen=True, kw_only=True)
class RunHistory:
    """A run so far.

    Attributes:
      started: how it began; settings are those of the last process.
      by_target: locator -> history of the targets that were begun.
      tests: statistical tests that may have been started.
      finished: how it ended; None where it can go on, as after an interrupt.
    """

    started: RunStarted
    by_target: Mapping[str, TargetHistory] = field(default_factory=dict)
    tests: int = 0
    finished: RunFinished | None = None

    @property
    def seconds(self) -> float:
        """Time the targets have used."""
        return sum(t.seconds for t in self.by_target.values())

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding, those not yet shrunk last of their target."""
        return tuple(f for t in self.by_target.values() for f in (*t.findings, *t.confirmed))

    def events(self) -> Iterator[Event]:
        """Yield the shortest sequence of events that tells the same: what a listener needs to know of earlier processes."""
        for target in self.by_target.values():
            yield target.started
            yield from (FindingFound(finding=f) for f in target.findings)
            last = target.finished or target.checkpoint
            if last is not None:
                yield last

    def check_declarations(self, specs: Iterable[TargetSpec]) -> None:
        """Make sure that the targets begun are still declared as they were.

        Raises:
          UsageError: another order of stages: numbers from before and after would not belong together.
        """
        for spec in specs:
            begun = self.by_target.get(spec.locator)
            if begun is not None and begun.started.order != spec.order:
                raise UsageError(
                    f"target {spec.locator!r} declares the stages {', '.join(spec.order) or 'none'}; when the run began it declared "
                    f"{', '.join(begun.started.order) or 'none'}; name another --report-dir for a new run"
                )


def history_of(events: Iterable[Event]) -> RunHistory | None:
    """Return the run that `events` tell, or None where nothing has begun.

    An interrupted run can go on like a killed one; the confirmed findings of both are kept.
    """
    run: RunHistory | None = None
    for event in events:
        if isinstance(event, RunStarted):
            run = RunHistory(started=event) if run is None else replace(run, started=event, finished=None)
        elif run is not None:
            run = _after(run, event)
    return run


def _after(run: RunHistory, event: Event) -> RunHistory:
    if isinstance(event, BudgetReserved):
        return replace(run, tests=max(run.tests, event.tests))
    if isinstance(event, RunFinished):
        return replace(run, finished=None if event.status == INTERRUPTED else event)
    name = event.finding.target if isinstance(event, FindingConfirmed | FindingFound) else getattr(event, "target", "")
    before = run.by_target.get(name)
    if before is not None:
        return replace(run, by_target={**run.by_target, name: before.after(event)})
    if isinstance(event, TargetStarted):
        return replace(run, by_target={**run.by_target, name: TargetHistory(started=event)})
    return run


def _without(findings: tuple[Finding, ...], gone: Finding) -> tuple[Finding, ...]:
    return tuple(f for f in findings if f.id != gone.id)


def differences(run: RunHistory, wanted: Mapping[str, Any]) -> list[str]:
    """Return in which of the settings named in `wanted` a recorded run is another one, as text: `seed 7 (here 8)`.

    >>> differences(RunHistory(started=RunStarted(targets=("a.py:f",), settings={"seed": 7})), {"targets": ["a.py:f"], "seed": 8})
    ['seed 7 (here 8)']
    """
    recorded = {**run.started.settings, "targets": list(run.started.targets)}
    return [_difference(name, recorded.get(name), value) for name, value in wanted.items() if recorded.get(name) != value]


def _difference(name: str, there: Any, here: Any) -> str:
    if isinstance(there, list) and isinstance(here, list):
        only = {"there": [x for x in there if x not in here], "here": [x for x in here if x not in there]}
        told = [f"only {place}: {_few(names)}" for place, names in only.items() if names]
        return f"{name} ({'; '.join(told) or 'in another order'})"
    return f"{name} {there} (here {here})"


def _few(names: list[Any]) -> str:
    return ", ".join(map(str, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
