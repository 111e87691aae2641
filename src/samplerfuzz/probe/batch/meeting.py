"""Processes meet at the coordinator's port before JAX does.

Where one of them does not come JAX ends the others with an abort; here each says who is missing.
"""

from __future__ import annotations

import contextlib
import socket
import time

from samplerfuzz.core.errors import UsageError

_GO, _TAKEN = b"go\n", b"taken\n"
_BETWEEN_TRIES, _HELLO = 0.1, 5.0
_NEXT = "start every process with its own --process-id, or give them more time with --connect-timeout"


def address_of(coordinator: str) -> tuple[str, int]:
    """Return host and port.

    Raises:
      UsageError: no HOST:PORT.
    """
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise UsageError(f"--coordinator {coordinator}: expected HOST:PORT")
    return host.strip("[]"), int(port)


def meet(coordinator: str, num_processes: int, process_id: int, *, timeout: float) -> None:
    """Return when all processes are there; the port is free again then.

    Args:
      coordinator: HOST:PORT at which process 0 can be reached.
      timeout: seconds.

    Raises:
      UsageError: not all came, or the port is taken.
    """
    host, port = address_of(coordinator)
    end = time.monotonic() + timeout
    if process_id == 0:
        _receive(coordinator, port, num_processes, end, timeout)
    else:
        _come(coordinator, host, port, process_id, end, timeout)


def _receive(coordinator: str, port: int, num_processes: int, end: float, timeout: float) -> None:
    family = {"family": socket.AF_INET6, "dualstack_ipv6": True} if socket.has_dualstack_ipv6() else {}
    try:
        listening = socket.create_server(("", port), **family)  # type: ignore[arg-type]
    except OSError as error:
        raise UsageError(
            f"--coordinator {coordinator}: process 0 cannot listen at port {port} ({error.strerror}); choose another"
        ) from error
    with listening, contextlib.ExitStack() as open_lines:
        came: dict[int, socket.socket] = {}
        while len(came) < num_processes - 1:
            listening.settimeout(max(0.01, end - time.monotonic()))
            try:
                line = open_lines.enter_context(listening.accept()[0])
            except TimeoutError:
                missing = ", ".join(str(i) for i in range(1, num_processes) if i not in came)
                raise UsageError(f"--coordinator {coordinator}: process {missing} did not come within {timeout:g} s; {_NEXT}") from None
            who = _hello(line)
            if who in came:
                line.sendall(_TAKEN)
            elif who is not None and 0 < who < num_processes:
                came[who] = line
        for line in came.values():
            line.sendall(_GO)


def _hello(line: socket.socket) -> int | None:
    """Return which process it is; None for whoever else knocks at the port."""
    line.settimeout(_HELLO)
    try:
        word = line.recv(16)
    except OSError:
        return None
    return int(word) if word.strip().isdigit() else None


def _come(coordinator: str, host: str, port: int, process_id: int, end: float, timeout: float) -> None:
    while True:
        answer, why = _asked(host, port, process_id, end)
        if answer == _GO:
            return
        if answer == _TAKEN:
            raise UsageError(f"--process-id {process_id}: another process has this number; {_NEXT}")
        if time.monotonic() + _BETWEEN_TRIES >= end:
            raise UsageError(f"--coordinator {coordinator}: not all processes met there within {timeout:g} s ({why}); {_NEXT}")
        time.sleep(_BETWEEN_TRIES)


def _asked(host: str, port: int, process_id: int, end: float) -> tuple[bytes, str]:
    """Say hello and return what process 0 answers, and why there is no answer."""
    try:
        with socket.create_connection((host, port), timeout=max(0.01, end - time.monotonic())) as line:
            line.sendall(b"%d\n" % process_id)
            line.settimeout(max(0.01, end - time.monotonic()))
            return line.recv(16), "process 0 ended"
    except OSError as error:
        return b"", str(error.strerror or error)
