"""A violation is believed when it is seen again."""

from __future__ import annotations

from samplerfuzz.cases import Case
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.registry import Check
from samplerfuzz.targets.target import Target, renew

_TRIES = 20


def seen_again(check: Check, target: Target, case: Case) -> list[Violation]:
    """Examine a case anew, a library in a new process; what a draw did once without a seed, or with one that it ignores, need not come back in the first call."""
    renew(target)
    pinned = check.kind != "seeds" and (bool(target.spec.inputs & {"seed", "u"}) or target.spec.returns in ("logits", "probs"))
    for _ in range(1 if pinned else _TRIES):
        if found := check.examine(target, case):
            return found
    return []
