"""Processes that end with this one at the latest, together with whatever they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import psutil

# a member of the group that ends it when the parent ends, however that happens and whatever the others do
_WATCHDOG = "import os, signal; os.read(0, 1); os.killpg(0, signal.SIGKILL)"


def watch(process: subprocess.Popen[Any]) -> tuple[subprocess.Popen[bytes], int]:
    """Start a watchdog in the group that a process leads.

    Returns:
      The watchdog, which keeps the group's number from being given to others, and a descriptor: when it closes, the group ends.
    """
    waits, lifeline = os.pipe()
    try:
        watchdog = subprocess.Popen([sys.executable, "-I", "-S", "-c", _WATCHDOG], stdin=waits, process_group=process.pid)
    except BaseException:
        os.close(lifeline)
        raise
    finally:
        os.close(waits)
    return watchdog, lifeline


def end_group(process: subprocess.Popen[Any], watchdog: subprocess.Popen[bytes], descriptors: Sequence[int]) -> None:
    """Kill a process, its group and its descendants, and close the descriptors and its pipes."""
    left: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        left = psutil.Process(process.pid).children(recursive=True)  # one that has left the group is still a descendant
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for descendant in left:
        with contextlib.suppress(psutil.Error):
            descendant.kill()
    for descriptor in descriptors:
        os.close(descriptor)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    for child in (process, watchdog):
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(5)
