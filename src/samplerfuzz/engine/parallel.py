"""A run on several processes: each fuzzes one target, or a share of one, and tells its events here; here they become one run."""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.checks.finding import Finding
from samplerfuzz.checks.registry import Check, load_all
from samplerfuzz.core.errors import SamplerFuzzError
from samplerfuzz.engine.campaign import Campaign, Limits
from samplerfuzz.engine.events import (
    BudgetReserved,
    Checkpoint,
    Event,
    FindingConfirmed,
    FindingFound,
    Listener,
    Progress,
    TargetFinished,
    TargetStarted,
)
from samplerfuzz.engine.history import TargetHistory
from samplerfuzz.engine.interrupts import Interrupts
from samplerfuzz.engine.novelty import Novelty
from samplerfuzz.stats import ErrorBudget
from samplerfuzz.targets.target import Target

Opener = Callable[[str], Target]
"""Opens a target by its locator, in any process: a function of a module."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A campaign of its own process.

    Attributes:
      locator: the target.
      shard, shards: which part of the target's work this is, of how many.
      checks: ids of those that apply; skipped: id -> why another does not.
      limits: of this part.
      past: what earlier processes did to the target, or None; the counts are in the first part.
      budget: tests that may have been started before, index of this job, number of jobs; alpha: bound of the whole run.
      corpus: cases to begin with.
    """

    locator: str
    shard: int
    shards: int
    checks: tuple[str, ...]
    skipped: Mapping[str, str]
    seed: int
    limits: Limits
    accepted: frozenset[str]
    past: TargetHistory | None
    budget: tuple[int, int, int]
    alpha: float
    corpus: list[Case]


def run_jobs(
    jobs: Sequence[Job], *, workers: int, open_target: Opener, rows: np.ndarray | None, listener: Listener, interrupts: Interrupts
) -> tuple[dict[str, TargetFinished], float]:
    """Work off `jobs`, at most `workers` at a time, and tell their events as those of one run.

    Ctrl-C lets every process end the call that is under way; a second one ends the processes.

    Returns:
      locator -> summary of every target that was begun, and the share of the error budget that was spent.

    Raises:
      SamplerFuzzError: a process could not open its target.
      RuntimeError: a process failed; the message holds its traceback.
    """
    context = multiprocessing.get_context("spawn")
    merged = {job.locator: _Merged(job.shards, job.past) for job in jobs}
    waiting, active, spent = deque(jobs), dict[Any, tuple[Job, Any]](), 0.0
    told_to_stop: set[Connection] = set()
    try:
        while waiting or active:
            if interrupts.count:
                waiting.clear()
                for connection in active.keys() - told_to_stop:
                    _tell(connection)
                    told_to_stop.add(connection)
            while waiting and len(active) < workers:
                job = waiting.popleft()
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs, open_target, job, rows), daemon=False)
                process.start()
                theirs.close()
                active[ours] = job, process
            for connection in wait(list(active), timeout=0.1):
                job, process = active[connection]
                kind, value = _heard(connection)
                if kind == "event":
                    for event in merged[job.locator].after(job.shard, value):
                        listener(event)
                    continue
                del active[connection]
                process.join()
                if kind == "spent":
                    spent += value
                elif kind == "refused":
                    raise value
                elif not interrupts.count:
                    reason = value or f"its process ended by itself with status {process.exitcode}"
                    raise RuntimeError(f"the campaign against {job.locator!r} failed: {reason}")
    except KeyboardInterrupt:
        pass  # the second one: what the processes have told is what there is
    finally:
        for _, process in active.values():
            process.terminate()
        for _, process in active.values():
            process.join()
    results = {}
    for locator, parts in merged.items():
        last = parts.finished or parts.interrupted(locator)
        if parts.finished is None and last is not None:
            listener(last)
        if last is not None:
            results[locator] = last
    return results, spent


def _heard(connection: Any) -> tuple[str, Any]:
    try:
        kind, value = connection.recv()
    except (EOFError, ConnectionResetError):
        return "died", None
    return kind, value


def _tell(connection: Connection) -> None:
    try:
        connection.send("stop")
    except OSError:
        return  # it has ended already


def _work(connection: Connection, open_target: Opener, job: Job, rows: np.ndarray | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and says when to stop
    stopped = False

    def listen(event: Event) -> None:
        nonlocal stopped
        connection.send(("event", event))
        if not stopped and connection.poll():
            stopped = True
            raise KeyboardInterrupt

    before, index, among = job.budget
    budget = ErrorBudget(job.alpha, started=before, reserve=lambda tests: listen(BudgetReserved(tests=tests)), share=(index, among))

    def own() -> float:
        return budget.spent - ErrorBudget(job.alpha, started=before).spent

    try:
        table = load_all()
        target = open_target(job.locator)
        try:
            campaign = Campaign(
                target,
                checks=[table[name].within(budget) for name in job.checks],
                skipped=dict(job.skipped),
                seed=job.seed,
                limits=job.limits,
                listener=listen,
                real_rows=rows,
                past=job.past,
                accepted=job.accepted,
                shard=job.shard,
                corpus=job.corpus,
            )
            try:
                finished = campaign.run()
            except KeyboardInterrupt:
                finished = campaign.interrupted()
            listen(finished)
        finally:
            close = getattr(target, "close", None)
            if close is not None:
                close()
        connection.send(("spent", own()))
    except KeyboardInterrupt:
        connection.send(("spent", own()))
    except SamplerFuzzError as error:
        connection.send(("refused", error))
    except (BrokenPipeError, ConnectionResetError):
        return  # the parent is gone: nobody is left to tell
    except Exception:
        connection.send(("failed", traceback.format_exc()))


class _Merged:
    """The events of the parts of one target as those of one campaign."""

    def __init__(self, shards: int, past: TargetHistory | None) -> None:
        self.finished: TargetFinished | None = None
        self._shards = shards
        self._started: TargetStarted | None = None
        self._last: dict[int, Checkpoint] = {}
        self._ended: dict[int, TargetFinished] = {}
        self._findings: dict[str, Finding] = {f.id: f for f in past.findings} if past else {}
        self._confirmed: set[str] = set()
        self._cells: set[int] = set(past.cells) if past else set()

    def after(self, shard: int, event: Event) -> Iterable[Event]:
        """Yield what the run says when a part says `event`."""
        if isinstance(event, TargetStarted):
            if self._started is None:
                self._started = event
                yield event
        elif isinstance(event, Progress):
            counts: dict[str, Any] = self._counts(shard, event)
            yield replace(event, **counts, findings=len(self._findings))
        elif isinstance(event, Checkpoint):
            self._last[shard] = event
            fresh = sorted(set(event.cells) - self._cells)
            self._cells.update(fresh)
            yield self._checkpoint(fresh)
        elif isinstance(event, FindingConfirmed):
            if event.finding.id not in self._findings and event.finding.id not in self._confirmed:
                self._confirmed.add(event.finding.id)
                yield event
        elif isinstance(event, FindingFound):
            if event.finding.id not in self._findings:
                self._findings[event.finding.id] = event.finding
                yield event
        elif isinstance(event, TargetFinished):
            self._ended[shard] = event
            if len(self._ended) == self._shards and all(e.complete for e in self._ended.values()):
                self.finished = self._summary(complete=True)
                yield self.finished
        else:
            yield event

    def interrupted(self, locator: str) -> TargetFinished | None:
        """Return the summary so far; None where the target was not begun."""
        if self._started is None:
            return None
        return self._summary(complete=False)

    def _counts(self, shard: int, event: Progress) -> dict[str, int]:
        others = [c for s, c in self._last.items() if s != shard]
        return {name: getattr(event, name) + sum(getattr(c, name) for c in others) for name in ("calls", "pairs", "draws")}

    def _checkpoint(self, fresh: list[int]) -> Checkpoint:
        parts = list(self._last.values())
        repeats: Counter[str] = Counter()
        for part in parts:
            repeats.update(part.repeats)
        return replace(
            parts[0],
            seconds=max(p.seconds for p in parts),
            **_sums(parts, "calls", "pairs", "draws"),
            **_tables(parts, "outcomes", "checks", "covered"),
            repeats=dict(repeats),
            swept=max(p.swept for p in parts),
            cells=fresh,
        )

    def _summary(self, *, complete: bool) -> TargetFinished:
        assert self._started is not None
        parts: list[Checkpoint | TargetFinished] = [self._ended.get(s) or c for s, c in self._last.items()]
        ended = list(self._ended.values())
        strategies: dict[str, Counter[str]] = {}
        repeats: Counter[str] = Counter()
        for part in ended:
            for name, n in part.strategies.items():
                strategies.setdefault(name, Counter()).update(n)
            repeats.update({f.id: f.repeats for f in part.findings})
        parameters = next((list(part.matrix) for part in ended if part.matrix), [])
        return TargetFinished(
            target=self._started.target,
            seconds=max((p.seconds for p in parts), default=0.0),
            **_sums(parts, "calls", "pairs", "draws"),
            **_tables(parts, "outcomes", "checks", "covered"),
            skipped=next((part.skipped for part in ended), {}),
            findings=tuple(replace(f, repeats=max(f.repeats, repeats[f.id])) for f in self._findings.values()),
            strategies={name: dict(n) for name, n in strategies.items()},
            matrix=Novelty(parameters, self._cells).matrix() if parameters else {},
            cells=len(self._cells),
            last_new=max((part.last_new for part in ended), default=0.0),
            complete=complete,
        )


def _sums(parts: Sequence[Checkpoint | TargetFinished], *names: str) -> dict[str, Any]:
    return {name: sum(getattr(part, name) for part in parts) for name in names}


def _tables(parts: Sequence[Checkpoint | TargetFinished], *names: str) -> dict[str, Any]:
    tables = {}
    for name in names:
        total: Counter[str] = Counter()
        for part in parts:
            total.update(getattr(part, name))
        tables[name] = dict(total)
    return tables


def jobs_of(
    targets: Sequence[Target],
    *,
    applied: Callable[[Target], tuple[list[Check], dict[str, str]]],
    weight: Callable[[Target], float],
    workers: int,
    seed: int,
    limits: Limits,
    accepted: frozenset[str],
    histories: Mapping[str, TargetHistory],
    tests: int,
    alpha: float,
    kept: Callable[[Target], list[Case]],
) -> list[Job]:
    """Return the jobs that keep `workers` processes busy for the time of `limits`; a target is split where there are fewer targets.

    A finished target has no job.
    """
    left = [t for t in targets if (past := histories.get(t.spec.locator)) is None or past.finished is None]
    if not left:
        return []
    shards = max(1, -(-workers // len(left)))
    total = sum(weight(t) for t in left) * shards
    each = None if limits.cases is None else max(1, limits.cases // len(targets) // shards)
    used = sum(p.seconds for p in histories.values() if p.finished is not None)
    jobs: list[Job] = []
    for target in left:
        checks, skipped = applied(target)
        past = histories.get(target.spec.locator)
        seconds = min(1.0, min(workers, len(left) * shards) * weight(target) / total) * max(0.5, limits.seconds - used)
        for shard in range(shards):
            jobs.append(
                Job(
                    locator=target.spec.locator,
                    shard=shard,
                    shards=shards,
                    checks=tuple(c.id for c in checks),
                    skipped=skipped,
                    seed=seed,
                    limits=replace(limits, seconds=seconds, cases=each),
                    accepted=accepted,
                    past=_part(past, shard),
                    budget=(tests, len(jobs), len(left) * shards),
                    alpha=alpha,
                    corpus=kept(target) if shard == 0 else [],
                )
            )
    return jobs


def _part(past: TargetHistory | None, shard: int) -> TargetHistory | None:
    """Return what one part has to know of the past; counts and unshrunk findings are the first part's."""
    if past is None or shard == 0 or past.checkpoint is None:
        return past
    empty = replace(past.checkpoint, calls=0, pairs=0, draws=0, outcomes={}, checks={}, covered={}, repeats={})
    return replace(past, checkpoint=empty, confirmed=())
