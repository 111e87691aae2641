"""One call of `assert_sampler_conforms`: a run of its own, in the test's process, in a directory of its own."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

import samplerfuzz
from samplerfuzz.checks.finding import SEVERITIES, Finding
from samplerfuzz.core.errors import UsageError
from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import Event, RunFinished, TargetFinished
from samplerfuzz.engine.run import FINDINGS, run, select_checks
from samplerfuzz.plugin.session import Session
from samplerfuzz.report import reporters
from samplerfuzz.report.files import make_directory, writing
from samplerfuzz.report.finding_text import finding_text
from samplerfuzz.report.text import count, printable
from samplerfuzz.stats import ALPHA
from samplerfuzz.targets import isolated
from samplerfuzz.targets.plain import PlainTarget, target
from samplerfuzz.targets.target import Target
from samplerfuzz.targets.written import WrittenTarget

CALL_FILE = "call.bin"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a call asks for: see `assert_sampler_conforms`."""

    seconds: float
    cases: int | None
    seed: int
    checks: Sequence[str]
    exclude_checks: Sequence[str]
    fail_on: str
    call_timeout: float
    declaration: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise UsageError(f"seconds={self.seconds!r}: expected a number above 0")
        if self.cases is not None and not self.cases > 0:
            raise UsageError(f"cases={self.cases!r}: expected an integer above 0")
        if self.fail_on not in SEVERITIES:
            raise UsageError(f"fail_on={self.fail_on!r}: expected one of {', '.join(SEVERITIES)}")
        known = [name for name, argument in inspect.signature(target).parameters.items() if argument.kind is argument.KEYWORD_ONLY]
        unknown = [name for name in self.declaration if name not in known]
        if unknown:
            raise UsageError(f"unknown argument {unknown[0]!r}; what a function declares: {', '.join(known)}")


@dataclass(frozen=True, kw_only=True)
class Test:
    """Where a call is made: node id, number of the call, its share of the error budget, the test's module."""

    id: str
    call: int
    share: float
    module: str


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """How the run ended: status as on the command line, and what a person is told."""

    status: int
    text: str


def conform(function: Callable[..., Any] | str, asked: Asked, test: Test, session: Session) -> Conclusion:
    """Fuzz a function, or the one that a locator names, and return how that ended.

    Raises:
      UsageError: what cannot be meant: no sampler, an unknown check, a declaration that contradicts the signature.
    """
    chosen = select_checks(list(asked.checks), list(asked.exclude_checks))
    directory = session.directory_of(test.id, test.call)
    heard: list[Event] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(_no_warnings())
        tested = stack.enter_context(opened(function, asked, test, session))
        # what an earlier run of pytest left of this test
        shutil.rmtree(directory, ignore_errors=True)
        make_directory(directory)
        listener = stack.enter_context(
            reporters(
                directory,
                console=Console(file=io.StringIO()),
                quiet=True,
                as_json=False,
                started=datetime.fromisoformat(session.started),
            )
        )

        def hear(event: Event) -> None:
            heard.append(event)
            listener(event)

        with writing(directory / CALL_FILE), contextlib.closing(WrittenTarget(tested, directory / CALL_FILE)) as written:
            run(
                [written],
                checks=chosen,
                seed=asked.seed,
                limits=Limits(seconds=asked.seconds, cases=asked.cases),
                fail_on=asked.fail_on,
                listener=hear,
                settings={
                    "samplerfuzz": samplerfuzz.__version__,
                    "started": session.started,
                    "session": session.id,
                    "test": test.id,
                    "call": test.call,
                    "worker": session.worker,
                },
                alpha=ALPHA * test.share,
            )
        (directory / CALL_FILE).unlink()
    ended = next(event for event in heard if isinstance(event, RunFinished))
    pairs = sum(event.pairs for event in heard if isinstance(event, TargetFinished))
    told = [f"{printable(tested.spec.locator)}: {ended.reason} · {count(pairs)} pairs in {ended.seconds:.1f} s · seed {asked.seed}"]
    if ended.status == FINDINGS:
        level = SEVERITIES.index(asked.fail_on)
        serious = [f for f in ended.findings if SEVERITIES.index(f.violation.severity) >= level]
        told += [block(f, directory, session, named=is_named(tested)) for f in serious]
        told.append(f"again: pytest {json.dumps(test.id)} --samplerfuzz-replay {session.shown(Path(session.directory))}")
    told.append(f"report: {session.shown(directory / 'report.html')}")
    return Conclusion(status=ended.status, text="\n".join(told))


def block(finding: Finding, directory: Path, session: Session, *, named: bool) -> str:
    """Return the block of a finding without colours, and below it, on a line that can be copied, how to run it again.

    Args:
      finding: what was found.
      directory: of the call.
      session: whose directory paths are shown from.
      named: whether its program can load the function.
    """
    again = (
        f"python {session.shown(directory / 'findings' / f'{finding.id}.py')}"
        if named
        else f"its case is {session.shown(directory / 'cases' / f'{finding.id}.json')}"
    )
    return f"{finding_text(finding)}\nreproduce: {again}"


def is_named(tested: Target) -> bool:
    """Return whether the locator of a target names it outside of its test too."""
    return "<" not in tested.spec.locator


@contextlib.contextmanager
def opened(function: Callable[..., Any] | str, asked: Asked, test: Test, session: Session) -> Iterator[Target]:
    """Open the target of a call for the body of `with`.

    Raises:
      UsageError: it is none.
    """
    if isinstance(function, str):
        named = isolated.load_target(function, time_limit=asked.call_timeout, declaration=asked.declaration or None)
        with contextlib.closing(named):
            yield named
        return
    if not callable(function):
        raise UsageError(f"{function!r} is a {type(function).__name__}; expected a function or its locator, FILE.py:NAME")
    plain = PlainTarget(
        function,
        locator=locator_of(function, test.module, session),
        time_limit=asked.call_timeout,
        declaration=asked.declaration or None,
    )
    plain.learn_form()
    yield plain


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    # pytest records every warning, or makes errors of them, which would be another function than the one that is deployed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def locator_of(function: Callable[..., Any], module: str, session: Session) -> str:
    """Return how a function is named: FILE.py:NAME in the test's own module, package.module:NAME elsewhere.

    What has no name there, a closure or a lambda, gets one that tells where it is made and that nothing can import.
    """
    home = getattr(function, "__module__", None) or type(function).__module__
    name = getattr(function, "__qualname__", None) or f"<{type(function).__qualname__}>"
    loaded = sys.modules.get(home)
    file = getattr(loaded, "__file__", None)
    if getattr(loaded, name, None) is not function and "<" not in name:
        name = f"<{name}>"
    if file is None or (home != module and home != "__main__"):
        return f"{home}:{name}"
    # a locator is read from the working directory, which the test may have changed
    at_home = os.path.samefile(os.getcwd(), session.invoked)
    return f"{session.shown(Path(file)) if at_home else file}:{name}"
