"""Open whatever a command line can name, in any process."""

from __future__ import annotations

from samplerfuzz.targets import builtin, isolated
from samplerfuzz.targets.target import Target


def open_target(locator: str, *, call_timeout: float = 10.0) -> Target:
    """Return the target: a built-in one, or a function in a process of its own, which `close` ends.

    Args:
      locator: `builtin:NAME`, `FILE.py:NAME` or `package.module:NAME`.
      call_timeout: seconds after which a call of a function is a hang.

    Raises:
      UsageError: there is no such target.
    """
    if locator.startswith(builtin.PREFIX):
        return builtin.builtin_target(locator.removeprefix(builtin.PREFIX))
    return isolated.load_target(locator, time_limit=call_timeout)


def close(target: Target) -> None:
    """End the process of a target that has one of its own."""
    if isinstance(target, isolated.IsolatedTarget):
        target.close()
