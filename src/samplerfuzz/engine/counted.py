"""A target whose calls are counted."""

from __future__ import annotations

from samplerfuzz.cases import Case
from samplerfuzz.targets.target import Outcome, Target, renew


class Counted:
    """A target that counts calls and rows, and remembers the call that ended its process or had a step without an end."""

    def __init__(self, target: Target, calls: int) -> None:
        self.spec, self._target, self.calls, self.rows = target.spec, target, calls, 0
        self._end: tuple[Case, Outcome] | None = None

    def run(self, case: Case) -> Outcome:
        """Call the target."""
        self.calls += 1
        self.rows += case.rows
        outcome = self._target.run(case)
        # that a call of one step does not end, the judges see by themselves
        if outcome.kind == "crash" or (outcome.kind == "hang" and case.steps is not None):
            self._end = case, outcome
        return outcome

    def renew(self) -> None:
        """See `renew`."""
        renew(self._target)

    def take_end(self) -> tuple[Case, Outcome] | None:
        """Return the last call that ended the target's process, or had a step without an end, once."""
        end, self._end = self._end, None
        return end
