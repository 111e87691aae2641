"""What a worker does for a plain function: import the user's file, describe the function, call it."""

from __future__ import annotations

from samplerfuzz.core.errors import UsageError
from samplerfuzz.targets.frames import case_of, outcome_frame, spec_header
from samplerfuzz.targets.plain import PlainTarget, find_function, said
from samplerfuzz.targets.target import Outcome
from samplerfuzz.targets.worker import Arrays, Call, Header


def open_plain(header: Header) -> tuple[Header, Call | None]:
    """Return the specification of `locator` and the function that runs a case, or what is wrong with it and None.

    The header also says `time_limit`, in seconds, `declaration`, which holds instead of the function's own where there is one, and
    `returns` where that was told from an earlier answer.
    """
    locator = header["locator"]
    try:
        function = find_function(locator)
        target = PlainTarget(function, locator=locator, time_limit=header["time_limit"], declaration=header["declaration"])
        spec = spec_header(target.spec)
    except UsageError as error:
        return {"error": str(error)}, None
    except TypeError as error:
        return {"error": f"target {locator!r}: its declaration holds more than numbers and names ({error})"}, None
    if header["returns"] is not None:
        target.settle_form(header["returns"])

    def call(request: Header, arrays: Arrays) -> tuple[Header, Arrays]:
        target.alive = request["alive"]
        return outcome_frame(_run(target, arrays))

    return {"spec": spec}, call


def _run(target: PlainTarget, arrays: Arrays) -> Outcome:
    try:
        return target.run(case_of(arrays))
    except Exception:
        raise  # ours: what the function raises is an outcome already
    except BaseException as error:
        # no Ctrl-C arrives in a worker: the function itself raised what ends its caller
        return Outcome(kind="crash", message=f"raised what no `except Exception` stops: {said(error)}")
