"""Open whatever a command line can name, in any process."""

from __future__ import annotations

from collections.abc import Sequence

from samplerfuzz.targets import builtin, isolated
from samplerfuzz.targets.libraries.opening import host_of, named, open_function
from samplerfuzz.targets.target import Target


def open_target(locator: str, *, call_timeout: float = 10.0, python: str | None = None) -> Target:
    """Return the target: a built-in one, or a function in a process of its own, which `close` ends.

    Args:
      locator: `builtin:NAME`, `LIBRARY:FUNCTION`, `FILE.py:NAME` or `package.module:NAME`.
      call_timeout: seconds after which a call of a function is a hang.
      python: the interpreter that has the library; None: the one that `samplerfuzz targets install` made.

    Raises:
      UsageError: there is no such target.
    """
    if locator.startswith(builtin.PREFIX):
        return builtin.builtin_target(locator.removeprefix(builtin.PREFIX))
    library = named(locator)
    if library is not None:
        return open_function(library, call_timeout=call_timeout, python=python)
    return isolated.load_target(locator, time_limit=call_timeout)


def expanded(locators: Sequence[str], *, call_timeout: float = 10.0, python: str | None = None) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the locators, a library replaced by all functions of its adapter, and what its version lacks: locator -> why.

    Raises:
      UsageError: a library is not installed, or does not import.
    """
    found: list[str] = []
    lacks: dict[str, str] = {}
    for locator in locators:
        library = None if locator.startswith(builtin.PREFIX) else named(locator)
        if library is None or library.function is not None:
            found.append(locator)
            continue
        host = host_of(library, call_timeout=call_timeout, python=python)
        found += [spec.locator for spec in host.specs]
        lacks |= host.lacks
    return tuple(dict.fromkeys(found)), lacks


def close(target: Target) -> None:
    """End the process of a target that has one of its own."""
    if isinstance(target, isolated.IsolatedTarget):
        target.close()
