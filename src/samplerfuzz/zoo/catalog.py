"""A defect is data: which documented bug a function of the zoo re-creates, and which kind of check should see it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CHECK_KINDS = ("support", "distribution", "metamorphic", "rows", "seeds", "uniforms", "draws", "contract", "state")


@dataclass(frozen=True, kw_only=True)
class Defect:
    """One documented bug and the function that re-creates it.

    Attributes:
      id: the bug's short name.
      source: project, issue or pull request, date.
      kind: the class of bug in two or three words.
      function: the name of the function or class.
      target: "package.module:function", as the command line takes it.
      description: the symptom in one sentence (the first line of the function's docstring).
      expected_checks: the kinds of check that should see it, the most direct first (a subset of CHECK_KINDS).
    """

    id: str
    source: str
    kind: str
    function: str
    target: str
    description: str
    expected_checks: tuple[str, ...]


_REGISTERED: dict[str, Defect] = {}


def defect(*, id: str, source: str, kind: str, expected_checks: tuple[str, ...]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the decorated function in the catalogue and return it unchanged."""
    if unknown := set(expected_checks) - set(CHECK_KINDS):
        raise ValueError(f"{id}: unknown kinds of check {sorted(unknown)}; known: {', '.join(CHECK_KINDS)}")

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        target = f"{function.__module__}:{function.__name__}"
        if id in _REGISTERED and _REGISTERED[id].target != target:
            raise ValueError(f"{id} is already the defect of {_REGISTERED[id].target}")
        _REGISTERED[id] = Defect(
            id=id,
            source=source,
            kind=kind,
            function=function.__name__,
            target=target,
            description=(inspect.getdoc(function) or "").partition("\n")[0],
            expected_checks=expected_checks,
        )
        return function

    return register


def registered() -> dict[str, Defect]:
    """Return the defects entered so far, sorted by id."""
    return dict(sorted(_REGISTERED.items()))
