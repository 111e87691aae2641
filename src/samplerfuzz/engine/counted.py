"""A target whose calls are counted."""

from __future__ import annotations

import time

from samplerfuzz.cases import Case
from samplerfuzz.engine.pace import Pace
from samplerfuzz.targets.target import Outcome, Target, renew


class Counted:
    """A target that counts calls and rows, tells `pace` how long each shape takes, and remembers the call that ended its process or had a step without an end."""

    def __init__(self, target: Target, calls: int, pace: Pace | None = None) -> None:
        self.spec, self._target, self.calls, self.rows, self._pace = target.spec, target, calls, 0, pace
        self._end: tuple[Case, Outcome] | None = None

    def run(self, case: Case) -> Outcome:
        """Call the target."""
        self.calls += 1
        self.rows += case.rows
        begun = time.monotonic()
        outcome = self._target.run(case)
        if self._pace is not None:
            if outcome.kind == "value" and case.steps is None:
                self._pace.answered(case.rows, case.vocabulary, time.monotonic() - begun)
            elif outcome.kind in ("crash", "hang"):
                self._pace.forget()
        # that a call of one step does not end, the judges see by themselves
        if outcome.kind == "crash" or (outcome.kind == "hang" and case.steps is not None):
            self._end = case, outcome
        return outcome

    def renew(self) -> None:
        """See `renew`."""
        renew(self._target)
        if self._pace is not None:
            self._pace.forget()

    def take_end(self) -> tuple[Case, Outcome] | None:
        """Return the last call that ended the target's process, or had a step without an end, once."""
        end, self._end = self._end, None
        return end
