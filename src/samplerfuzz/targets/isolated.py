"""A plain function in a process of its own: what it does to its process is an outcome, and the next call finds a new one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from samplerfuzz.cases import Case
from samplerfuzz.core.errors import UsageError
from samplerfuzz.targets.form import form_of
from samplerfuzz.targets.frames import case_arrays, outcome_of, spec_of
from samplerfuzz.targets.target import Outcome, TargetSpec
from samplerfuzz.targets.worker_process import End, WorkerProcess, start_worker

_DRIVER = f"{Path(__file__).with_name('plain_worker.py')}:open_plain"
# how long the worker's own alarm, which keeps the process, may be late before the process is killed
_GRACE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class _Opening:
    """How a target is loaded, the first time and every other: see `load_target`."""

    locator: str
    time_limit: float
    load_limit: float
    declaration: Mapping[str, Any] | None


class IsolatedTarget:
    """A function that a worker imports and calls; this process never does. Made by `load_target`."""

    def __init__(self, spec: TargetSpec, worker: WorkerProcess, *, opening: _Opening) -> None:
        self.time_limit = opening.time_limit
        self.spec = spec
        self._opening = opening
        self._worker: WorkerProcess | None = worker

    def learn_form(self) -> None:
        """Ask an undecorated function once what it returns, so that the checks that apply are known beforehand."""
        form = form_of(self)
        if form is not None:
            self.spec = replace(self.spec, returns=form)

    def run(self, case: Case) -> Outcome:
        """Call the function once; its answer, its exception, its hanging and its death are outcomes.

        Raises:
          UsageError: its process ended and the file does not import any more, or says something else than before.
        """
        if self._worker is None:
            self._start_again()
        worker = self._worker
        assert worker is not None
        self._worker = None  # whoever interrupts the call leaves a worker that is about to answer: it is of no more use
        answer = worker.ask({}, case_arrays(case), seconds=self.time_limit + _GRACE_S)
        if isinstance(answer, End):
            message = f"no answer within {self.time_limit:g} s; it heeded no alarm and was killed" if answer.silent else answer.message
            return Outcome(kind="hang" if answer.silent else "crash", message=message)
        self._worker = worker
        return outcome_of(*answer)

    def close(self) -> None:
        """End the worker; a later `run` starts another."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _start_again(self) -> None:
        spec, worker = _open(self._opening, returns=self.spec.returns)
        if replace(spec, returns=self.spec.returns) != self.spec:
            worker.close()
            raise UsageError(f"target {self.spec.locator!r} was changed while it was fuzzed; run again")
        self._worker = worker


def load_target(
    locator: str, *, time_limit: float = 10.0, load_limit: float = 120.0, declaration: Mapping[str, Any] | None = None
) -> IsolatedTarget:
    """Load `FILE.py:NAME` or `package.module:NAME` in a process of its own.

    Args:
      time_limit: seconds; a call that takes longer is a hang.
      load_limit: seconds; an import that takes longer is an error.
      declaration: keyword arguments of `target` that hold instead of what the function declares itself; None: its own.

    Raises:
      UsageError: the file is missing, does not import, ends its process or does not end; the name is not there or no function;
        an argument is unknown.
    """
    opening = _Opening(locator=locator, time_limit=time_limit, load_limit=load_limit, declaration=declaration)
    spec, worker = _open(opening, returns=None)
    target = IsolatedTarget(spec, worker, opening=opening)
    target.learn_form()
    return target


def _open(opening: _Opening, *, returns: str | None) -> tuple[TargetSpec, WorkerProcess]:
    worker, locator = start_worker(), opening.locator
    header = {
        "path": [str(folder) for folder in sys.path],
        "driver": _DRIVER,
        "locator": locator,
        "time_limit": opening.time_limit,
        "declaration": opening.declaration,
        "returns": returns,
    }
    answer = worker.ask(header, seconds=opening.load_limit)
    if isinstance(answer, End):
        what = f"gives {answer.message}" if answer.silent else answer.message
        raise UsageError(f"target {locator!r}: its process {what} while importing; try `python -c` with the same import")
    told, _ = answer
    if "error" in told:
        worker.close()
        raise UsageError(told["error"])
    worker.limit_memory()
    return spec_of(told["spec"]), worker
