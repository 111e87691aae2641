"""Recorded findings on the target as it is now: does each still show?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from samplerfuzz.cases import Case
from samplerfuzz.checks.finding import Finding, Violation
from samplerfuzz.checks.http.shown import shown
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.checks.registry import Check
from samplerfuzz.core.errors import SamplerFuzzError, UsageError
from samplerfuzz.engine.confirm import seen_again
from samplerfuzz.engine.served import ALIVE, Sender
from samplerfuzz.stats import ErrorBudget
from samplerfuzz.targets.http.exchange import Request
from samplerfuzz.targets.target import Target

T = TypeVar("T")
FIXED, FAILED, ERROR = "FIXED", "FAILED", "ERROR"


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A finding run again.

    Attributes:
      finding: as recorded.
      status: FIXED, the claim holds on the recorded case; FAILED, it is broken, or the target no longer answers; ERROR, it
        cannot be told.
      message: what was seen, or why it cannot be told.
    """

    finding: Finding
    status: str
    message: str


def replay(
    findings: Iterable[Finding],
    checks: Mapping[str, Check],
    load: Callable[[str], Target],
    reach: Callable[[str], Sender] = lambda locator: _unreached(locator),
) -> Iterator[Replay]:
    """Run findings again, in order, and yield what became of each.

    Args:
      findings: as recorded.
      checks: id -> check. A statistical one gets an error budget a finding: what was found once, at whatever threshold, is
        found again with the same draws.
      load: gives the target of a locator; a SamplerFuzzError of it is the ERROR of its findings.
      reach: gives what sends requests to the server of a locator; likewise.
    """
    targets: dict[str, Target | SamplerFuzzError] = {}
    servers: dict[str, Sender | SamplerFuzzError] = {}
    for finding in findings:
        if finding.violation.protocol == "http":
            server = _opened(finding.target, servers, reach)
            told = server if isinstance(server, SamplerFuzzError) else _asked_again(finding, server)
        else:
            target = _opened(finding.target, targets, load)
            told = target if isinstance(target, SamplerFuzzError) else _replayed(finding, target, checks)
        yield told if isinstance(told, Replay) else Replay(finding=finding, status=ERROR, message=str(told))


def _unreached(locator: str) -> Sender:
    raise UsageError(f"{locator} is a server; `samplerfuzz replay` sends it the recorded requests again")


def _opened(locator: str, known: dict[str, T | SamplerFuzzError], open_: Callable[[str], T]) -> T | SamplerFuzzError:
    if locator not in known:
        try:
            known[locator] = open_(locator)
        except SamplerFuzzError as error:
            known[locator] = error
    return known[locator]


def _asked_again(finding: Finding, server: Sender) -> Replay:
    """Send a server the recorded requests again."""
    observed = finding.violation.observed
    if server.send(ALIVE).kind == "gone":
        return Replay(finding=finding, status=ERROR, message=f"nothing listens at {finding.target}; start the server first")
    replies = [server.send(Request(path=request["path"], body=request["body"])) for request in observed["requests"]]
    # alone, the name of a number that is not finite is still its name
    constants = {name: float(v) if v in ("nan", "inf", "-inf") else v for name, v in observed["constants"].items()}
    seen = shown(observed["shows"], [{"kind": r.kind, "status": r.status, "text": r.text} for r in replies], constants)
    if not seen and replies[-1].kind == "gone":
        seen = "nothing listens any more"
    if seen:
        return Replay(finding=finding, status=FAILED, message=f"{finding.violation.title}: {seen}")
    return Replay(finding=finding, status=FIXED, message=f"was: {finding.violation.title}")


def _replayed(finding: Finding, target: Target, checks: Mapping[str, Check]) -> Replay:
    check = checks.get(finding.violation.check)
    if check is None:
        return Replay(finding=finding, status=ERROR, message=f"this version has no check {finding.violation.check!r}")
    obstacle = _obstacle(finding, target, check)
    if obstacle:
        return Replay(finding=finding, status=ERROR, message=obstacle)
    found = seen_again(check.within(ErrorBudget()), target, finding.case) or _no_answer(target, finding.case, checks)
    if found:
        return Replay(finding=finding, status=FAILED, message=found[0].title)
    return Replay(finding=finding, status=FIXED, message=f"was: {finding.violation.title}")


def _obstacle(finding: Finding, target: Target, check: Check) -> str:
    """Say why the recorded case means nothing to the target as it is now; empty where it does."""
    missing = [name for name in target.spec.parameters if name not in finding.case.parameters]
    if missing:
        return f"the target takes {missing[0]!r} now, which the recorded case does not give; fuzz it again"
    if finding.per_row and not target.spec.per_row and finding.case.rows > 1:
        return "the target takes one number a call now, and the recorded case has one a row; fuzz it again"
    if not check.applies(target.spec):
        return "the claim no longer applies to what the target takes and returns; fuzz it again"
    return ""


def _no_answer(target: Target, case: Case, checks: Mapping[str, Check]) -> list[Violation]:
    """Return what is wrong with not answering: a claim about an answer holds of itself where none is given, and that is no repair."""
    outcome = target.run(case)
    if outcome.kind == "value":
        return []
    judgement = Judgement(target.spec, case, outcome)
    return [v for c in checks.values() if c.kind == "contract" and c.judge is not None for v in c.judge(c, judgement)]
