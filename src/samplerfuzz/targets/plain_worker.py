"""What a worker does for plain functions: import the user's files, describe the functions, call them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from samplerfuzz.core.errors import UsageError
from samplerfuzz.targets.frames import case_of, outcome_frame, spec_header
from samplerfuzz.targets.plain import PlainTarget, find_function, said
from samplerfuzz.targets.target import Outcome
from samplerfuzz.targets.worker import Arrays, Call, Header


def open_functions(header: Header) -> tuple[Header, Call | None]:
    """Import the functions that the header names, and return what `described` makes of them."""
    return described(header, find_function)


def described(header: Header, find: Callable[[str], Callable[..., Any]], version: str = "") -> tuple[Header, Call | None]:
    """Return the specifications of `functions` and the function that runs a case, or what is wrong with one and None.

    The header says `functions`, pairs of a locator and where its function is found, `time_limit`, in seconds, `declaration`, which holds
    instead of the functions' own where there is one, and `returns` of each where that was told from an earlier answer.

    Args:
      find: gives the function of a place.
      version: what is tested.
    """
    targets, specs = [], []
    for (locator, where), returns in zip(header["functions"], header["returns"], strict=True):
        try:
            function = find(where)
            target = PlainTarget(function, locator=locator, time_limit=header["time_limit"], declaration=header["declaration"])
            specs.append({**spec_header(target.spec), "version": version})
        except UsageError as error:
            return {"error": str(error)}, None
        except TypeError as error:
            return {"error": f"target {locator!r}: its declaration holds more than numbers and names ({error})"}, None
        if returns is not None:
            target.settle_form(returns)
        targets.append(target)

    def call(request: Header, arrays: Arrays) -> tuple[Header, Arrays]:
        target = targets[request["function"]]
        target.alive = request["alive"]
        return outcome_frame(_run(target, arrays))

    return {"specs": specs}, call


def _run(target: PlainTarget, arrays: Arrays) -> Outcome:
    try:
        return target.run(case_of(arrays))
    except Exception:
        raise  # ours: what the function raises is an outcome already
    except BaseException as error:
        # no Ctrl-C arrives in a worker: the function itself raised what ends its caller
        return Outcome(kind="crash", message=f"raised what no `except Exception` stops: {said(error)}")
