"""The interpreters of the libraries: one virtual environment for each version, in the user's cache.

An environment is made step by step, and each step that succeeded is written down: an install that was broken off goes on where it was.
"""

from __future__ import annotations

import errno
import fcntl
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from samplerfuzz.core.cache_directory import cache_directory
from samplerfuzz.core.errors import UsageError
from samplerfuzz.targets.libraries.catalog import LIBRARIES, Library

_RECORD = "installed.json"
_SHOWN_LINES = 12


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A library in an interpreter of its own."""

    library: Library
    version: str
    directory: Path

    @property
    def python(self) -> str:
        """The interpreter."""
        return str(self.directory / "bin" / "python")

    @property
    def is_complete(self) -> bool:
        """Whether every step of the installation succeeded."""
        return _done(self.directory) == self.steps and Path(self.python).exists()

    @property
    def steps(self) -> list[list[str]]:
        """Arguments of pip, in order."""
        return [[argument.format(version=self.version) for argument in step] for step in self.library.steps]


def environments_directory() -> Path:
    """Return where they lie: `$SAMPLERFUZZ_CACHE/targets`, else the user's cache directory of the platform."""
    return cache_directory("targets")


def environment(library: Library, version: str | None = None) -> Environment:
    """Return the environment of a version (default: the one that the adapter was tried with), whether it is there or not."""
    version = version or library.version
    return Environment(library=library, version=version, directory=environments_directory() / f"{library.name}-{version}")


def installed(library: Library) -> list[Environment]:
    """Return the environments of a library that are complete, the tried version first."""
    versions = [path.name.removeprefix(f"{library.name}-") for path in environments_directory().glob(f"{library.name}-[0-9]*")]
    found = [environment(library, version) for version in sorted(versions, key=lambda v: (v != library.version, v))]
    return [item for item in found if item.is_complete]


def interpreter(library: Library, version: str | None) -> str:
    """Return the interpreter that has a version of a library, or any of its versions.

    Raises:
      UsageError: it is not installed.
    """
    there = installed(library)
    for item in there:
        if version in (None, item.version):
            return item.python
    wanted = library.name if version is None else f"{library.name}=={version}"
    also = f" (there is {', '.join(item.version for item in there)})" if there else ""
    raise UsageError(
        f"{wanted} is not installed for samplerfuzz{also}; run `samplerfuzz targets install {wanted}`, or name an interpreter that has it "
        "with --python PATH"
    )


def install(library: Library, version: str | None, say: Callable[[str], None]) -> Environment:
    """Make the environment of a version, or finish it; nothing to do where it is complete.

    Raises:
      UsageError: a step failed; what pip said last is in the message, and the next call begins with that step.
    """
    wanted = environment(library, version)
    with _locked(wanted.directory):
        if wanted.is_complete:
            say(f"{library.name} {wanted.version} is already there: {wanted.directory}")
            return wanted
        done = _done(wanted.directory)
        if done != wanted.steps[: len(done)] or not Path(wanted.python).exists():
            done = []
            _run([sys.executable, "-m", "venv", "--clear", str(wanted.directory)], "making the environment")
        for number, step in enumerate(wanted.steps[len(done) :], len(done) + 1):
            shown = " ".join(step) if len(step) < 5 else f"{' '.join(step[:4])} and {len(step) - 4} more"
            say(f"step {number} of {len(wanted.steps)}: pip install {shown}")
            _run([wanted.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *step], f"pip install {shown}")
            done = [*done, step]
            (wanted.directory / _RECORD).write_text(json.dumps(done), encoding="utf-8")
    say(f"{library.name} {wanted.version} is ready: {wanted.directory}")
    return wanted


def remove(library: Library, version: str | None) -> list[Environment]:
    """Delete the environment of a version, or those of all versions, complete or not, and return what was deleted.

    Raises:
      UsageError: there is none.
    """
    pattern = f"{library.name}-{version}" if version else f"{library.name}-[0-9]*"
    gone = [environment(library, path.name.removeprefix(f"{library.name}-")) for path in sorted(environments_directory().glob(pattern))]
    if not gone:
        raise UsageError(f"no environment of {library.name}{f' {version}' if version else ''} in {environments_directory()}")
    for item in gone:
        with _locked(item.directory):
            shutil.rmtree(item.directory)
    return gone


def everything() -> list[tuple[Library, list[Environment]]]:
    """Return every library with its complete environments."""
    return [(library, installed(library)) for library in LIBRARIES.values()]


def _done(directory: Path) -> list[list[str]]:
    try:
        steps: list[list[str]] = json.loads((directory / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return steps


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the lock of an environment: two that install at once would spoil each other's work."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with (directory.parent / f".{directory.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        why = "no space left" if error.errno == errno.ENOSPC else str(error)
        raise UsageError(f"{directory}: {why}; $SAMPLERFUZZ_CACHE names another place") from error


def _run(command: list[str], what: str) -> None:
    finished = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if finished.returncode:
        said = finished.stdout.decode("utf-8", "replace").strip().splitlines()[-_SHOWN_LINES:]
        raise UsageError(
            f"{what} failed with status {finished.returncode}; run the same command again to go on from here\n" + "\n".join(said)
        )
