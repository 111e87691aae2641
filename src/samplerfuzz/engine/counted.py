"""A target whose calls are counted."""

from __future__ import annotations

from samplerfuzz.cases import Case
from samplerfuzz.targets.target import Outcome, Target


class Counted:
    """A target that counts calls and rows, and remembers the call that ended its process."""

    def __init__(self, target: Target, calls: int) -> None:
        self.spec, self._target, self.calls, self.rows = target.spec, target, calls, 0
        self._crash: tuple[Case, Outcome] | None = None

    def run(self, case: Case) -> Outcome:
        """Call the target."""
        self.calls += 1
        self.rows += case.rows
        outcome = self._target.run(case)
        if outcome.kind == "crash":
            self._crash = case, outcome
        return outcome

    def take_crash(self) -> tuple[Case, Outcome] | None:
        """Return the last call that ended the target's process, once."""
        crash, self._crash = self._crash, None
        return crash
