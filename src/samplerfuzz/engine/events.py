"""What a campaign says while it runs. Reporters listen to these and to nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from samplerfuzz.checks.finding import Finding


@dataclass(frozen=True, kw_only=True)
class RunStarted:
    """The run begins. `settings` is JSON-ready: seed, max_time, max_cases, alpha, checks, target locators, versions."""

    targets: tuple[str, ...]
    settings: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TargetStarted:
    """One target of the run begins."""

    target: str
    order: tuple[str, ...]
    returns: str
    order_was_assumed: bool
    seconds_planned: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Cumulative numbers of the current target, a few times a second."""

    target: str
    phase: str
    seconds: float
    seconds_planned: float
    calls: int
    pairs: int
    draws: int
    findings: int


@dataclass(frozen=True, kw_only=True)
class FindingFound:
    """A new finding, confirmed and shrunk."""

    finding: Finding


@dataclass(frozen=True, kw_only=True)
class TargetFinished:
    """Summary of one target.

    outcomes: pass, finding, refused, inconclusive, poisoned, unsupported, error -> number of (row, configuration) pairs.
    checks: check id -> pairs (or draws) judged. covered: regime -> pairs. skipped: check id -> reason.
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


@dataclass(frozen=True, kw_only=True)
class RunFinished:
    """The run ends. status: exit status 0, 1, 3 or 130; reason in a few words."""

    status: int
    reason: str
    seconds: float
    findings: tuple[Finding, ...] = field(default_factory=tuple)
    alpha_spent: float = 0.0


Event = RunStarted | TargetStarted | Progress | FindingFound | TargetFinished | RunFinished
Listener = Callable[[Event], None]
