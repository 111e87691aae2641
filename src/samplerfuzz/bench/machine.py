"""Which machine it was: what a time means little without."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Processor, cores, threads, memory, system, interpreter."""

    processor: str
    cores: int
    threads_per_core: int
    memory_gib: float
    caches: str
    system: str
    python: str


def describe() -> Machine:
    """Return the machine this runs on; what the system does not tell is "unknown" or 0."""
    return Machine(
        processor=_field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine() or "unknown",
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads_per_core=_threads_per_core(),
        memory_gib=round(int((_field("/proc/meminfo", "MemTotal") or "0").split()[0]) / 2**20, 1),
        caches=_caches(),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
    )


def load_average() -> float:
    """Return how many processes wanted a core over the last minute; −1 where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else -1.0


def _field(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _threads_per_core() -> int:
    siblings, cores = _field("/proc/cpuinfo", "siblings"), _field("/proc/cpuinfo", "cpu cores")
    return int(siblings) // int(cores) if siblings.isdigit() and cores.isdigit() and int(cores) else 0


def _caches() -> str:
    found = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((index / name).read_text(encoding="ascii").strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction":
            found.append(f"L{level} {size}")
    return ", ".join(found) or "unknown"
