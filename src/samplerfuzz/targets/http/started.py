"""A server that is started for a run, and started again when a request has ended it."""

from __future__ import annotations

import shlex
import subprocess
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import httpx

from samplerfuzz.core.errors import UsageError
from samplerfuzz.targets.process_group import end_group, watch

_PATIENCE = 300.0  # seconds that a server has to load its model
_LOADING = 503  # what servers answer while they load
_SAID = 3  # last lines of a server that did not start that are shown


class StartedServer:
    """Run `command` until it answers at `url`; it ends with the block, or with this process, however that ends.

    Args:
      command: words as in a shell, without one.
      url: where it will listen.
      log: file that its output is appended to.
    """

    def __init__(self, command: str, url: str, log: Path) -> None:
        self.command, self.url, self.log = command, url, log
        self._words = _split(command)
        self._end: Callable[[], object] = lambda: None

    def __enter__(self) -> StartedServer:
        """Start the server.

        Raises:
          UsageError: something listens there already, or the command cannot be run, ends, or does not answer.
        """
        if self._answers():
            raise UsageError(f"something listens at {self.url} already; stop it, or leave out --start")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._start(lambda: None)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def restart(self, check: Callable[[], None] = lambda: None) -> bool:
        """End what is left of the server and start it anew; whether it answers again.

        Args:
          check: called while it loads; raises where the run is to stop.
        """
        self._end()
        try:
            self._start(check)
        except UsageError:
            return False
        return True

    def _start(self, check: Callable[[], None]) -> None:
        with self.log.open("ab") as log:
            log.write(f"$ {self.command}\n".encode())
            log.flush()
            try:
                process = subprocess.Popen(self._words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0)
            except OSError as error:
                raise UsageError(f"--start {self.command!r} cannot be run: {error}") from error
        try:
            watchdog, lifeline = watch(process)
        except BaseException:
            process.kill()
            raise
        self._end = weakref.finalize(self, end_group, process, watchdog, [lifeline])
        until = time.monotonic() + _PATIENCE
        while not self._answers():
            check()
            if process.poll() is not None:
                raise UsageError(f"--start {self.command!r} ended with status {process.returncode} before it answered{self._last_words()}")
            if time.monotonic() > until:
                self._end()
                raise UsageError(f"--start {self.command!r} does not answer at {self.url} within {_PATIENCE:g} s{self._last_words()}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/v1/models", trust_env=False, timeout=5.0).status_code != _LOADING
        except httpx.HTTPError:
            return False

    def _last_words(self) -> str:
        lines = [line for line in self.log.read_text("utf-8", errors="replace").splitlines() if line.strip()][-_SAID:]
        return f"; {self.log} ends: " + " | ".join(lines)


def _split(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--start {command!r} is no command: {error}") from error
    if not words:
        raise UsageError("--start names no command; give one such as 'llama-server -m model.gguf --port 8080'")
    return words
