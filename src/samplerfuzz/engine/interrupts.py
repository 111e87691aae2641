"""Ctrl-C: it stops a run where stopping is safe, and never keeps what was found from being written."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from samplerfuzz.cases import Case
from samplerfuzz.targets.target import Outcome, Target, renew


class Interrupts:
    """Count the interrupts in the body of `with Interrupts() as interrupts`.

    The first lets what is under way end: a call of the target, the writing of the reports; `check` says where stopping is safe.
    A second one raises KeyboardInterrupt where it arrives: whoever waits for a call that hangs need not.

    Only Python's own handler is replaced: where the embedding program has one, or ignores interrupts, or another thread runs
    the campaign, that stays as it is.
    """

    def __init__(self) -> None:
        self.count = 0
        self._is_installed = self._is_unbroken = False

    def __enter__(self) -> Interrupts:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            with contextlib.suppress(ValueError):  # not the main thread
                signal.signal(signal.SIGINT, self._heard)
                self._is_installed = True
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def check(self) -> None:
        """Raise KeyboardInterrupt if there has been an interrupt."""
        if self.count:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def unbroken(self) -> Iterator[None]:
        """Let every interrupt wait for the end of the body: an import of JAX that is broken off crashes the process at its exit."""
        self._is_unbroken = True
        try:
            yield
        finally:
            self._is_unbroken = False
        self.check()

    def watched(self, target: Target) -> Target:
        """Return the target, checking before every call."""
        return _Watched(target, self)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1 and not self._is_unbroken:
            raise KeyboardInterrupt


class _Watched:
    def __init__(self, target: Target, interrupts: Interrupts) -> None:
        self.spec, self._target, self._interrupts = target.spec, target, interrupts

    def run(self, case: Case) -> Outcome:
        self._interrupts.check()
        return self._target.run(case)

    def renew(self) -> None:
        renew(self._target)
