"""A violation is believed when it is seen again."""

from __future__ import annotations

import time

from samplerfuzz.cases import Case, Generator
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.registry import Check
from samplerfuzz.core.seeding import stream
from samplerfuzz.targets.target import Target, renew

_TRIES = 20
_SLOW = 0.25  # of the time in which a call did not end: where an ordinary one of its shape takes longer, the target is slow
_SMALL = 1024  # logits that nobody is slow with


def seen_again(check: Check, target: Target, case: Case) -> list[Violation]:
    """Examine a case anew, a library in a new process; what a draw did once without a seed, or with one that it ignores, need not come back in the first call."""
    renew(target)
    pinned = check.kind != "seeds" and (bool(target.spec.inputs & {"seed", "u"}) or target.spec.returns in ("logits", "probs"))
    for _ in range(1 if pinned else _TRIES):
        begun = time.monotonic()
        if found := check.examine(target, case):
            return [] if check.id == "call_returns" and _may_be_slow(check, target, case, time.monotonic() - begun) else found
    return []


def _may_be_slow(check: Check, target: Target, case: Case, seconds: float) -> bool:
    """Whether a call that did not end within `seconds` might have ended later: ordinary ones of its shape take long too, or it ends once they have been made."""
    if case.steps is not None or case.logits.size <= _SMALL:
        return False
    spec = target.spec
    generator = Generator(parameters=spec.parameters, inputs=spec.inputs, per_row=spec.per_row)
    ordinary = generator.case(stream(0, "ordinary"), rows=case.rows, size=case.vocabulary, strategy="ordinary", regime="normal")
    target.run(ordinary)  # what has to be loaded and compiled for this shape is, after it
    begun = time.monotonic()
    target.run(ordinary)
    return time.monotonic() - begun > _SLOW * seconds or not check.examine(target, case)
