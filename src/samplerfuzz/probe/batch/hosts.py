"""Several processes, on one host or many, as one machine: joining them, and agreeing on what is done."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable

import jax
import numpy as np

from samplerfuzz.core.errors import UsageError

_BETWEEN_TRIES, _LEAVING = 0.2, 30


def join(coordinator: str, num_processes: int, process_id: int, *, timeout: int) -> None:
    """Make this process one of several; process 0 listens at `coordinator`, the others come to it. To be called before JAX is used.

    Raises:
      UsageError: no HOST:PORT, an id outside [0, N), nobody there within `timeout` seconds.
    """
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise UsageError(f"--coordinator {coordinator}: expected HOST:PORT")
    if not 0 <= process_id < num_processes:
        raise UsageError(f"--process-id {process_id}: expected one of 0 to {num_processes - 1}, with --num-processes {num_processes}")
    begun = time.monotonic()
    if process_id == 0:
        _check_free(coordinator, int(port))
    else:
        _await_listener(coordinator, host.strip("[]"), int(port), timeout)  # JAX would end the process instead of saying so
    left = max(1, round(timeout - (time.monotonic() - begun)))
    try:
        jax.distributed.initialize(coordinator, num_processes, process_id, initialization_timeout=left, shutdown_timeout_seconds=_LEAVING)
    except RuntimeError as error:
        raise UsageError(
            f"--coordinator {coordinator}: the {num_processes} processes did not all come within {timeout} s; start each with its own "
            f"--process-id, or give more time with --connect-timeout ({_first_line(error)})"
        ) from error


def join_found(*, timeout: int) -> None:
    """Make this process one of those that the cluster says there are: TPU pods, SLURM, Kubernetes, Open MPI, as JAX finds them.

    Raises:
      UsageError: it finds none, or they do not come.
    """
    try:
        jax.distributed.initialize(initialization_timeout=timeout, shutdown_timeout_seconds=_LEAVING)
    except (ValueError, RuntimeError) as error:
        raise UsageError(
            f"--distributed auto: JAX found no cluster that it can join ({_first_line(error)}); say it with --coordinator HOST:PORT "
            "--num-processes N --process-id I"
        ) from error


def _check_free(coordinator: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise UsageError(
                f"--coordinator {coordinator}: process 0 cannot listen at port {port} ({error.strerror}); choose another"
            ) from error


def _await_listener(coordinator: str, host: str, port: int, timeout: int) -> None:
    end = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection((host, port), timeout=max(0.1, end - time.monotonic())).close()
            return
        except OSError as error:
            if time.monotonic() + _BETWEEN_TRIES >= end:
                raise UsageError(
                    f"--coordinator {coordinator}: cannot be reached within {timeout} s ({error.strerror or error}); start process 0 there, "
                    "or give more time with --connect-timeout"
                ) from error
            time.sleep(_BETWEEN_TRIES)


def is_coordinator() -> bool:
    """Return whether this process merges and reports."""
    return jax.process_index() == 0


def check_alike(sha256: str) -> None:
    """Refuse to run where processes were given different batches.

    Raises:
      UsageError: on every process.
    """
    seen = _gathered(np.frombuffer(bytes.fromhex(sha256), np.uint8))
    if (seen != seen[:1]).any():
        raise UsageError(
            "the processes were given different batches: prompts, configurations, model and options must be the same on every host"
        )


def known_to_any(blocks: Iterable[int], count: int) -> np.ndarray:
    """Return bool [count]: which blocks some process has the results of."""
    own = np.zeros(count, np.uint8)
    own[list(blocks)] = 1
    return np.asarray(_gathered(own).any(axis=0))


def everyone_here() -> None:
    """Wait until every process has come so far."""
    _gathered(np.zeros(1, np.uint8))


def leave() -> None:
    """Part from the others: what follows needs none of them."""
    if jax.process_count() > 1:
        jax.distributed.shutdown()


def _gathered(own: np.ndarray) -> np.ndarray:
    """Return [processes, ...] of what every process gave."""
    if jax.process_count() == 1:
        return own[None]
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(own))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
