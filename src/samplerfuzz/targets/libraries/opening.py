"""What a command line says about libraries: `NAME`, `NAME==VERSION`, `NAME:FUNCTION`, `NAME==VERSION:FUNCTION`."""

from __future__ import annotations

from dataclasses import dataclass

from samplerfuzz.core.errors import UsageError
from samplerfuzz.targets.isolated import Host, IsolatedTarget, Source, open_host
from samplerfuzz.targets.libraries.adapter import adapter_file, functions_of
from samplerfuzz.targets.libraries.catalog import LIBRARIES, Library, find_library
from samplerfuzz.targets.libraries.environments import interpreter

_LOAD_LIMIT_S = 300.0
# all functions of a library are tested in one process: importing it once takes seconds and hundreds of megabytes
_HOSTS: dict[tuple[str, str | None, float], Host] = {}


@dataclass(frozen=True, kw_only=True)
class Named:
    """A library, one of its versions (None: any) and one of the functions of its adapter (None: all)."""

    library: Library
    version: str | None
    function: str | None

    @property
    def prefix(self) -> str:
        """The locator without the function."""
        return self.library.name if self.version is None else f"{self.library.name}=={self.version}"


def named(locator: str) -> Named | None:
    """Return what a locator says of a library; None where it names none: a file, a module, a built-in sampler.

    >>> named("transformers==5.23.0:top_k").function, named("my_sampler.py:top_k"), named("transformers.generation:f")
    ('top_k', None, None)

    Raises:
      UsageError: a word that is no library, and can be nothing else.
    """
    where, colon, function = locator.partition(":")
    name, pinned, version = where.partition("==")
    if name not in LIBRARIES and (colon or "/" in locator or locator.endswith(".py")) and not pinned:
        return None
    if name not in LIBRARIES and not pinned:
        raise UsageError(
            f"target {locator!r}: expected FILE.py:NAME, package.module:NAME, builtin:NAME or a library; known libraries: {', '.join(LIBRARIES)}"
        )
    if pinned and not version:
        raise UsageError(f"target {locator!r}: expected a version after ==, for example {name}=={find_library(name).version}")
    if colon and not function:
        raise UsageError(f"target {locator!r}: expected a function after the colon; without it all functions of {name} are tested")
    return Named(library=find_library(name), version=version or None, function=function or None)


def host_of(item: Named, *, call_timeout: float = 10.0, python: str | None = None) -> Host:
    """Return the process that tests a library, started where there is none.

    Raises:
      UsageError: the library is not installed, or does not import.
    """
    python = python or interpreter(item.library, item.version)
    key = (item.prefix, python, call_timeout)
    if key not in _HOSTS:
        file = adapter_file(item.library.name)
        functions = {f"{item.prefix}:{name}": f"{file}:{name}" for name in functions_of(file)}
        source = Source(name=item.prefix, functions=functions, python=python, time_limit=call_timeout, load_limit=_LOAD_LIMIT_S)
        _HOSTS[key] = open_host(source)
    return _HOSTS[key]


def open_function(item: Named, *, call_timeout: float = 10.0, python: str | None = None) -> IsolatedTarget:
    """Return one function of a library as a target.

    Raises:
      UsageError: there is no such function, or this version of the library has nothing for it.
    """
    host = host_of(item, call_timeout=call_timeout, python=python)
    locator = f"{item.prefix}:{item.function}"
    if locator in host.lacks:
        raise UsageError(f"target {locator!r}: {host.lacks[locator]}")
    for target in host.targets():
        if target.spec.locator == locator:
            return target
    known = ", ".join(spec.locator.partition(":")[2] for spec in host.specs)
    raise UsageError(f"target {locator!r}: {item.library.name} has no function {item.function!r}; known: {known}")
