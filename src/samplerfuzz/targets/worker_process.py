"""The parent's side of one worker: start it, ask it, notice how it ends, leave nothing of it behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from samplerfuzz.targets.process_group import end_group, watch
from samplerfuzz.targets.worker import PREFIX_SIZE, Arrays, Header, Shared, decode_frame, encode_frame, frame_sizes

_WORKER = Path(__file__).with_name("worker.py")
_HERE = str(_WORKER.parent)
_SLICE_MS, _LOOK_S, _FAREWELL_S = 20, 0.1, 1.0
_PIPE, _TAIL, _SHOWN = 1 << 20, 1 << 16, 160
_FATAL = "Fatal Python error"
_FRAME = re.compile(r'  File "([^"\n]*)", line (\d+) in (\S+)\n')


@dataclass(frozen=True, kw_only=True)
class End:
    """How a worker ended instead of answering.

    Attributes:
      silent: it gave no answer in time and was killed; otherwise it died.
      message: one line, for example "died with SIGSEGV in top_k (kernels.py:12), called by sample (mine.py:5)".
    """

    silent: bool
    message: str


def start_worker(python: str = sys.executable) -> WorkerProcess:
    """Start worker.py under `python`, with a watchdog; both end with this process at the latest."""
    pipe = subprocess.PIPE
    # files in memory have no name that could outlive a crash; where the system has none, the pipes take everything
    shared = [os.memfd_create("samplerfuzz") for _ in range(2)] if hasattr(os, "memfd_create") else []
    command = [python, "-P", str(_WORKER), *map(str, shared)]
    # a group of its own: Ctrl-C is for the parent, and the group is ended as a whole
    with contextlib.ExitStack() as undo:
        for descriptor in shared:
            undo.callback(os.close, descriptor)
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, process_group=0, pass_fds=shared)
        undo.callback(process.kill)
        watchdog, lifeline = watch(process)
        undo.pop_all()
    return WorkerProcess(process, watchdog, lifeline, shared)


class WorkerProcess:
    """One running worker, made by `start_worker`; after its end it is of no more use.

    Args:
      process: the worker, leader of its process group.
      watchdog: keeps the group's number from being given to others, and ends the group when `lifeline` closes.
      lifeline: a descriptor that is never written to.
      shared: descriptors of the memory for requests and for answers, or none.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], watchdog: subprocess.Popen[bytes], lifeline: int, shared: Sequence[int] = ()
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._requests, self._answers, self._words = process.stdin.fileno(), process.stdout.fileno(), process.stderr.fileno()
        self._poll = select.poll()
        for descriptor in (self._requests, self._answers, self._words):
            os.set_blocking(descriptor, False)
            if hasattr(fcntl, "F_SETPIPE_SZ"):
                with contextlib.suppress(OSError):  # a user's pipes are limited; a small one is slower, no more
                    fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE)
        for descriptor in (self._answers, self._words):
            self._poll.register(descriptor, select.POLLIN)
        self._buffer = memoryview(bytearray(_PIPE))
        self._tail = bytearray()
        self._closed = False
        self._memory_limit, self._memory_seen = float("inf"), 0.0
        # also runs when the object is forgotten, and at the interpreter's exit
        self._end = weakref.finalize(self, end_group, process, watchdog, [lifeline, *shared])
        self._asked: Shared | None = None
        self._answered: Shared | None = None
        if shared:
            self._asked, self._answered = (Shared(descriptor) for descriptor in shared)

    def ask(self, header: Header, arrays: Arrays | None = None, *, seconds: float) -> tuple[Header, dict[str, np.ndarray]] | End:
        """Send a frame and return the answer, or how the worker ended: by itself, or killed after `seconds` without a sign of life.

        Raises:
          RuntimeError: the driver in the worker has a bug.
        """
        deadline = time.monotonic() + seconds
        unsent = memoryview(encode_frame(header, arrays, self._asked))
        answer = bytearray()
        while not _is_whole(answer) or _is_sign_of_life(answer):
            if _is_whole(answer):
                del answer[: PREFIX_SIZE + sum(frame_sizes(answer))]
                deadline = time.monotonic() + seconds
                continue
            unsent = self._send(unsent)
            if self._has_outgrown():
                self.kill()
                return End(silent=False, message=f"took more than {self._memory_limit / 1e9:.1f} GB of memory and was killed")
            if self._receive(answer):
                continue
            # the pipe may stay open in a child of the worker, so its end is not the only sign
            if self._closed or (self._process.poll() is not None and not self._receive(answer)):
                return self._died()
            if time.monotonic() > deadline:
                self.kill()
                return End(silent=True, message=f"no answer within {seconds:g} s")
        size, _ = frame_sizes(answer)
        told, values = decode_frame(answer[PREFIX_SIZE:], size, self._answered)
        if "bug" in told:
            raise RuntimeError(f"the driver of the worker failed:\n{told['bug']}")
        return told, values

    def limit_memory(self) -> None:
        """Let the worker take half of this machine's memory beyond what it has now; an `ask` kills it when it takes more."""
        self._memory_limit = self._memory() + psutil.virtual_memory().total / 2

    def close(self) -> None:
        """Let the worker end by itself, for a second at most, and end what is left of its process group."""
        if self._end.alive:
            assert self._process.stdin is not None
            self._process.stdin.close()
            deadline = time.monotonic() + _FAREWELL_S
            while self._process.poll() is None and time.monotonic() < deadline:
                self._receive(bytearray())
        self.kill()

    def kill(self) -> None:
        """End the worker and everything that it started, at once."""
        self._end()

    def _send(self, unsent: memoryview) -> memoryview:
        """Write what the pipe takes and return the rest; wait for room in the next `_receive`."""
        if not unsent:
            return unsent
        with contextlib.suppress(BlockingIOError):
            try:
                unsent = unsent[os.write(self._requests, unsent) :]
            except BrokenPipeError:
                unsent = unsent[:0]  # it died, which reading will show
        if unsent:
            self._poll.register(self._requests, select.POLLOUT)
        else:
            self._forget(self._requests)
        return unsent

    def _receive(self, answer: bytearray) -> bool:
        """Wait for a moment, append what was answered, keep the tail of what was said; return whether an answer grew."""
        grew = False
        for descriptor, _ in self._poll.poll(_SLICE_MS):
            if descriptor == self._answers:
                chunk = self._read(self._answers)
                self._closed = chunk is not None and not chunk
                answer += chunk or b""
                grew = bool(chunk)
            elif descriptor == self._words:
                self._listen()
        return grew

    def _listen(self) -> bool:
        chunk = self._read(self._words)
        self._tail = (self._tail + (chunk or b""))[-_TAIL:]
        return bool(chunk)

    def _read(self, descriptor: int) -> memoryview | None:
        """Return bytes (until the next read), none at the end of the pipe, None where nothing has come."""
        try:
            count = os.readv(descriptor, [self._buffer])
        except BlockingIOError:
            return None
        if not count:
            self._forget(descriptor)
        return self._buffer[:count]

    def _forget(self, descriptor: int) -> None:
        with contextlib.suppress(KeyError):
            self._poll.unregister(descriptor)

    def _has_outgrown(self) -> bool:
        now = time.monotonic()
        if now < self._memory_seen + _LOOK_S:
            return False
        self._memory_seen = now
        return self._memory() > self._memory_limit

    def _memory(self) -> int:
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def _died(self) -> End:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_FAREWELL_S)  # a pipe closes a moment before its process is gone
        deadline = time.monotonic() + _FAREWELL_S
        while self._listen() and time.monotonic() < deadline:
            pass
        code = self._process.poll()
        self.kill()
        return End(silent=False, message=_cause(code) + _last_words(self._tail.decode("utf-8", "replace")))


def _is_whole(answer: bytearray) -> bool:
    return len(answer) >= PREFIX_SIZE and len(answer) >= PREFIX_SIZE + sum(frame_sizes(answer))


def _is_sign_of_life(answer: bytearray) -> bool:
    size, body = frame_sizes(answer)
    return not body and "alive" in json.loads(answer[PREFIX_SIZE : PREFIX_SIZE + size])


def _cause(code: int | None) -> str:
    if code is None:
        return "closed the pipe to its caller"
    if code >= 0:
        return f"exited with status {code}"
    try:
        return f"died with {signal.Signals(-code).name}"
    except ValueError:
        return f"died with signal {-code}"


def _last_words(text: str) -> str:
    """Return where the interpreter was, as faulthandler tells it, and the last line that the code itself wrote."""
    own, _, fatal = text.partition(_FATAL)
    current = fatal.partition("Current thread ")[2].partition("\n\n")[0] + "\n"
    calls = [f"{name} ({Path(file).name}:{line})" for file, line, name in _FRAME.findall(current) if not file.startswith((_HERE, "<"))]
    where = f" in {calls[0]}" if calls else ""
    # the outermost call that is not ours is the target itself
    where += f", called by {calls[-1]}" if len(calls) > 1 else ""
    lines = [line.strip() for line in own.splitlines() if line.strip()]
    return where + (f"; it wrote last: {lines[-1][-_SHOWN:]}" if lines else "")
