"""Functions in a process of their own: what one does to its process is an outcome, and the next call finds a new one."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from samplerfuzz.cases import Case
from samplerfuzz.core.errors import UsageError
from samplerfuzz.targets.form import form_of
from samplerfuzz.targets.frames import case_arrays, outcome_of, spec_of
from samplerfuzz.targets.target import Outcome, TargetSpec
from samplerfuzz.targets.worker import Header
from samplerfuzz.targets.worker_process import End, WorkerProcess, start_worker

_HERE = Path(__file__).parent
# how long the worker's own alarm, which keeps the process, may be late before the process is killed
_GRACE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a worker opens, the first time and every other.

    Attributes:
      name: shown where it does not open.
      functions: locator -> where its function is found, `FILE.py:NAME` or `package.module:NAME`.
      python: the interpreter; None: this one, with its paths.
      time_limit: seconds of a call.
      load_limit: seconds of the import.
      declaration: keyword arguments of `target` that hold instead of what the functions declare themselves; None: their own.
    """

    name: str
    functions: Mapping[str, str]
    python: str | None = None
    time_limit: float = 10.0
    load_limit: float = 120.0
    declaration: Mapping[str, Any] | None = None


class Host:
    """A worker that holds one or more functions, started again where it ended. Made by `open_host`."""

    def __init__(self, source: Source, specs: Sequence[TargetSpec], lacks: Mapping[str, str], worker: WorkerProcess) -> None:
        self.source = replace(source, functions={spec.locator: source.functions[spec.locator] for spec in specs})
        self.specs = list(specs)
        self.lacks = dict(lacks)  # locator -> why the library, as it is installed, has no such function
        self._worker: WorkerProcess | None = worker

    def targets(self) -> list[IsolatedTarget]:
        """Return what can be fuzzed."""
        return [IsolatedTarget(self, index) for index in range(len(self.specs))]

    def run(self, index: int, case: Case) -> Outcome:
        """Call a function once; its answer, its exception, its hanging and its death are outcomes.

        Raises:
          UsageError: its process ended and the file does not import any more, or says something else than before.
        """
        if self._worker is None:
            self._start_again()
        worker = self._worker
        assert worker is not None
        self._worker = None  # whoever interrupts the call leaves a worker that is about to answer: it is of no more use
        limit = self.source.time_limit
        answer = worker.ask({"function": index}, case_arrays(case), seconds=limit + _GRACE_S)
        if isinstance(answer, End):
            message = f"no answer within {limit:g} s; it heeded no alarm and was killed" if answer.silent else answer.message
            return Outcome(kind="hang" if answer.silent else "crash", message=message)
        self._worker = worker
        return outcome_of(*answer)

    def close(self) -> None:
        """End the worker; a later `run` starts another."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _start_again(self) -> None:
        specs, _, worker = _open(self.source, returns=[spec.returns for spec in self.specs])
        for spec, known in zip(specs, self.specs, strict=True):
            if replace(spec, returns=known.returns) != known:
                worker.close()
                raise UsageError(f"target {known.locator!r} was changed while it was fuzzed; run again")
        self._worker = worker


class IsolatedTarget:
    """A function that a worker imports and calls; this process never does."""

    def __init__(self, host: Host, index: int) -> None:
        self._host, self._index = host, index

    @property
    def spec(self) -> TargetSpec:
        """What it promises."""
        return self._host.specs[self._index]

    @property
    def time_limit(self) -> float:
        """Seconds of a call; one that takes longer is a hang."""
        return self._host.source.time_limit

    def learn_form(self) -> None:
        """Ask an undecorated function once what it returns, so that the checks that apply are known beforehand."""
        form = form_of(self)
        if form is not None:
            self._host.specs[self._index] = replace(self.spec, returns=form)

    def run(self, case: Case) -> Outcome:
        """Call the function once: see `Host.run`."""
        return self._host.run(self._index, case)

    def renew(self) -> None:
        """Let a library's process end: what a call has done to its memory must not speak for the next one."""
        if self._host.source.python is not None:
            self._host.close()

    def close(self) -> None:
        """End the worker, which other functions of its host share; a later `run` starts another."""
        self._host.close()


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
    source = Source(name=locator, functions={locator: locator}, time_limit=time_limit, load_limit=load_limit, declaration=declaration)
    (target,) = open_host(source).targets()
    target.learn_form()
    return target


def open_host(source: Source) -> Host:
    """Start a worker for a source; its targets are `Host.targets`.

    Raises:
      UsageError: see `load_target`.
    """
    specs, lacks, worker = _open(source, returns=[None] * len(source.functions))
    return Host(source, specs, lacks, worker)


def _open(source: Source, *, returns: Sequence[str | None]) -> tuple[list[TargetSpec], dict[str, str], WorkerProcess]:
    worker = start_worker(source.python or sys.executable)
    header: Header = {
        "driver": f"{_HERE / ('plain_worker.py' if source.python is None else 'library_worker.py')}:open_functions",
        "functions": [[locator, function] for locator, function in source.functions.items()],
        "time_limit": source.time_limit,
        "declaration": source.declaration,
        "returns": list(returns),
    }
    if source.python is None:
        header["path"] = [str(folder) for folder in sys.path]
    answer = worker.ask(header, seconds=source.load_limit)
    if isinstance(answer, End):
        what = f"gives {answer.message}" if answer.silent else answer.message
        raise UsageError(f"target {source.name!r}: its process {what} while importing; try `python -c` with the same import")
    told, _ = answer
    if "error" in told:
        worker.close()
        raise UsageError(told["error"])
    worker.limit_memory()
    return [spec_of(spec) for spec in told["specs"]], told.get("lacks", {}), worker
