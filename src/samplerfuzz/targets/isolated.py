"""A plain function in a process of its own: what it does to its process is an outcome, and the next call finds a new one."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from samplerfuzz.cases import Case, Generator
from samplerfuzz.core.errors import UsageError
from samplerfuzz.targets.frames import case_arrays, outcome_of, spec_of
from samplerfuzz.targets.target import Outcome, TargetSpec
from samplerfuzz.targets.worker_process import End, WorkerProcess, start_worker

_DRIVER = f"{Path(__file__).with_name('plain_worker.py')}:open_plain"
# how long the worker's own alarm, which keeps the process, may be late before the process is killed
_GRACE_S = 1.0


class IsolatedTarget:
    """A function that a worker imports and calls; this process never does. Made by `load_target`."""

    def __init__(self, locator: str, *, time_limit: float, load_limit: float, spec: TargetSpec, worker: WorkerProcess) -> None:
        self.time_limit = time_limit
        self.load_limit = load_limit
        self.spec = spec
        self._worker: WorkerProcess | None = worker

    def learn_form(self) -> None:
        """Ask an undecorated function once what it returns, so that the checks that apply are known beforehand."""
        if self.spec.returns is not None:
            return
        generator = Generator(parameters=self.spec.parameters, inputs=self.spec.inputs, per_row=self.spec.per_row)
        case = generator.case(np.random.default_rng(0), rows=2, size=4, strategy="ordinary", regime="normal")
        outcome = self.run(case)
        if outcome.kind == "value":
            self.spec = replace(self.spec, returns=outcome.form)

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
        spec, worker = _open(self.spec.locator, time_limit=self.time_limit, load_limit=self.load_limit, returns=self.spec.returns)
        if replace(spec, returns=self.spec.returns) != self.spec:
            worker.close()
            raise UsageError(f"target {self.spec.locator!r} was changed while it was fuzzed; run again")
        self._worker = worker


def load_target(locator: str, *, time_limit: float = 10.0, load_limit: float = 120.0) -> IsolatedTarget:
    """Load `FILE.py:NAME` or `package.module:NAME` in a process of its own.

    Args:
      time_limit: seconds; a call that takes longer is a hang.
      load_limit: seconds; an import that takes longer is an error.

    Raises:
      UsageError: the file is missing, does not import, ends its process or does not end; the name is not there or no function;
        an argument is unknown.
    """
    spec, worker = _open(locator, time_limit=time_limit, load_limit=load_limit, returns=None)
    target = IsolatedTarget(locator, time_limit=time_limit, load_limit=load_limit, spec=spec, worker=worker)
    target.learn_form()
    return target


def _open(locator: str, *, time_limit: float, load_limit: float, returns: str | None) -> tuple[TargetSpec, WorkerProcess]:
    worker = start_worker()
    header = {
        "path": [str(folder) for folder in sys.path],
        "driver": _DRIVER,
        "locator": locator,
        "time_limit": time_limit,
        "returns": returns,
    }
    answer = worker.ask(header, seconds=load_limit)
    if isinstance(answer, End):
        what = f"gives {answer.message}" if answer.silent else answer.message
        raise UsageError(f"target {locator!r}: its process {what} while importing; try `python -c` with the same import")
    told, _ = answer
    if "error" in told:
        worker.close()
        raise UsageError(told["error"])
    worker.limit_memory()
    return spec_of(told["spec"]), worker
