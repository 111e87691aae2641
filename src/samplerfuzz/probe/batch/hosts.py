"""Several processes, on one host or many, as one machine: joining them, and agreeing on what is done."""

from __future__ import annotations

from collections.abc import Iterable

import jax
import numpy as np

from samplerfuzz.core.errors import UsageError
from samplerfuzz.probe.batch.meeting import address_of, meet

_LEAVING = 30


def join(coordinator: str, num_processes: int, process_id: int, *, timeout: int) -> None:
    """Make this process one of several; process 0 listens at `coordinator`, the others come to it. To be called before JAX is used.

    Raises:
      UsageError: no HOST:PORT, an id outside [0, N), nobody there within `timeout` seconds.
    """
    address_of(coordinator)
    if not 0 <= process_id < num_processes:
        raise UsageError(f"--process-id {process_id}: expected one of 0 to {num_processes - 1}, with --num-processes {num_processes}")
    meet(coordinator, num_processes, process_id, timeout=timeout)
    jax.distributed.initialize(coordinator, num_processes, process_id, initialization_timeout=timeout, shutdown_timeout_seconds=_LEAVING)


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
