"""Compiled programs are kept on disk, so that the same command compiles nothing the second time.

JAX does it; here it is told where, before it is imported. A directory that cannot be written, or a disk with hardly any room, means that
nothing is kept, and no run ends because of it.
"""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

from samplerfuzz.core.cache_directory import cache_directory

OFF, DIRECTORY, SHORTEST = "SAMPLERFUZZ_NO_COMPILATION_CACHE", "JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
_SECONDS = "0.3"  # what compiles sooner is compiled again
_LARGEST, _FREE = 2**31, 2**28  # bytes: of all that is kept, and that stay free


def keep_compiled() -> None:
    """Tell JAX to keep what it compiles, unless the user said where it should or that it should not."""
    if os.environ.get(OFF, "0") not in ("", "0") or DIRECTORY in os.environ:
        return
    directory = cache_directory("compiled")
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(directory, os.W_OK) or shutil.disk_usage(directory).free < _FREE:
            return
        _prune(directory)
    except OSError:
        return  # as it would be without a cache
    os.environ[DIRECTORY] = str(directory)
    os.environ.setdefault(SHORTEST, _SECONDS)
    # an entry that cannot be read or written is compiled as if there were none
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache entry")


def _prune(directory: Path) -> None:
    """Remove what was not written for longest until the rest is no larger than `_LARGEST`."""
    entries = sorted((entry.stat().st_mtime, entry.stat().st_size, entry.path) for entry in os.scandir(directory) if entry.is_file())
    excess = sum(size for _, size, _ in entries) - _LARGEST
    for _, size, path in entries:
        if excess <= 0:
            return
        Path(path).unlink(missing_ok=True)
        excess -= size
