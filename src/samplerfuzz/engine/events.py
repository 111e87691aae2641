"""What a campaign says while it runs. Reporters listen to these and to nothing else.

Written down in order, all but `Progress` and `BehaviourMet`, they are the run: a killed one goes on from them (`engine.history`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from samplerfuzz.cases import Case
from samplerfuzz.checks.finding import Finding

INTERRUPTED = 130
"""Status of a run that was stopped before its end; it can go on."""


@dataclass(frozen=True, kw_only=True)
class RunStarted:
    """The run begins, or goes on in a new process.

    settings: JSON-ready: seed, max_time, max_cases, alpha, checks, versions, and what the caller adds. times_resumed: 0 at first.
    """

    targets: tuple[str, ...]
    settings: dict[str, Any]
    times_resumed: int = 0


@dataclass(frozen=True, kw_only=True)
class TargetStarted:
    """One target of the run begins, or goes on in a new process."""

    target: str
    order: tuple[str, ...]
    returns: str
    order_was_assumed: bool
    seconds_planned: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Cumulative numbers of the current target for the eye, a few times a second."""

    target: str
    phase: str
    seconds: float
    seconds_planned: float
    calls: int
    pairs: int
    draws: int
    findings: int


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything that a killed run needs to go on with the current target, about once a second and after every finding.

    The numbers are cumulative, those of earlier processes included. outcomes, checks, covered: as in `TargetFinished`.
    repeats: finding id -> how often it was seen. swept: cases of the opening sweep that are done. cells: those of `engine.novelty` met
    since the last checkpoint.
    """

    target: str
    seconds: float
    calls: int
    pairs: int
    draws: int
    outcomes: dict[str, int]
    checks: dict[str, int]
    covered: dict[str, int]
    repeats: dict[str, int]
    swept: int
    cells: list[int] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class BudgetReserved:
    """Up to `tests` statistical tests of the run may be started from here on: a resumed run counts them all as spent."""

    tests: int


@dataclass(frozen=True, kw_only=True)
class BehaviourMet:
    """A row that met behaviour not met before, alone: worth keeping for other runs. It is no part of the run's own record."""

    target: str
    case: Case


@dataclass(frozen=True, kw_only=True)
class FindingConfirmed:
    """A new finding, confirmed and about to be shrunk. It is not lost if the run is killed meanwhile; `FindingFound` follows."""

    finding: Finding


@dataclass(frozen=True, kw_only=True)
class FindingFound:
    """A new finding, confirmed and shrunk."""

    finding: Finding


@dataclass(frozen=True, kw_only=True)
class TargetFinished:
    """Summary of one target.

    outcomes: pass, finding, refused, inconclusive, poisoned, unsupported, error -> number of (row, configuration) pairs.
    checks: check id -> pairs (or draws) judged. covered: regime -> pairs. skipped: check id -> reason.
    strategies: strategy -> cases and new cells; matrix: parameter -> regime -> classes of value and answer met; cells: met in all;
    last_new: when the last one was met. complete: False where the run was interrupted before the target had its share.
    """

    target: str
    seconds: float
    calls: int
    pairs: int
    draws: int
    outcomes: dict[str, int]
    checks: dict[str, int]
    covered: dict[str, int]
    skipped: dict[str, str]
    findings: tuple[Finding, ...]
    strategies: dict[str, dict[str, int]] = field(default_factory=dict)
    matrix: dict[str, dict[str, int]] = field(default_factory=dict)
    cells: int = 0
    last_new: float = 0.0
    complete: bool = True


@dataclass(frozen=True, kw_only=True)
class RunFinished:
    """The run ends. status: exit status 0, 1, 3 or INTERRUPTED; reason in a few words."""

    status: int
    reason: str
    seconds: float
    findings: tuple[Finding, ...] = field(default_factory=tuple)
    alpha_spent: float = 0.0


Recorded = RunStarted | TargetStarted | Checkpoint | BudgetReserved | FindingConfirmed | FindingFound | TargetFinished | RunFinished
Event = Recorded | Progress | BehaviourMet
Listener = Callable[[Event], None]
