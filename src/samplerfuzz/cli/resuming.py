"""Whether `samplerfuzz fuzz` goes on with what a directory holds, or begins there, or must not touch it."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samplerfuzz.core.errors import UsageError

if TYPE_CHECKING:
    from samplerfuzz.engine.history import RunHistory
    from samplerfuzz.report.events_log import EventsLog


def unfinished_run(directory: Path) -> tuple[EventsLog | None, RunHistory | None]:
    """Return the open log in `directory` and the run it tells; None where there is none. Nothing is created.

    Raises:
      UsageError: the run there is finished, going on in another process, or its log is damaged.
    """
    from samplerfuzz.engine.history import history_of
    from samplerfuzz.report.events_log import LOG_NAME, EventsLog

    if not (directory / LOG_NAME).exists():
        return None, None
    log = EventsLog(directory / LOG_NAME)
    past = history_of(log.events())
    if past is not None and past.finished is not None:
        log.close()
        found = len(past.findings)
        raise UsageError(
            f"{directory} holds a finished run ({past.finished.reason}; {found} finding{'s' * (found != 1)} in all); `samplerfuzz replay "
            f"{directory}` runs its findings again; for a new run name another --report-dir, or delete that one first"
        )
    return log, past


def refuse_another_run(directory: Path, past: RunHistory, wanted: Mapping[str, Any]) -> None:
    """Make sure that the unfinished run in `directory` is the one that is asked for.

    Raises:
      UsageError: a setting of `wanted` differs; the message names all that do.
    """
    from samplerfuzz.engine.history import differences

    found = differences(past, wanted)
    if found:
        raise UsageError(
            f"{directory} holds an unfinished run that is another one: {'; '.join(found)}; `samplerfuzz fuzz --resume {directory}` goes on "
            "with it; for a new run name another --report-dir, or delete that one first"
        )


def refuse_changed_code(directory: Path, past: RunHistory, sources: Mapping[str, str]) -> None:
    """Make sure that the targets of an unfinished run are the code that it began with: what was found then may be repaired.

    Raises:
      UsageError: the file of a target is another one now.
    """
    before = past.started.settings["sources"]
    changed = [locator for locator in before if sources.get(locator) != before[locator]]
    if changed:
        raise UsageError(
            f"{changed[0]} has changed since the unfinished run in {directory} began; `samplerfuzz replay {directory}` says which findings "
            "are fixed; for a new run name another --report-dir, or delete that one first"
        )


def digests(locators: Sequence[str]) -> dict[str, str]:
    """Return for every target that lies in a file of its own, or is called by an adapter, a digest of that file."""
    from samplerfuzz.targets.libraries.adapter import adapter_file
    from samplerfuzz.targets.libraries.opening import named

    found = {}
    for locator in locators:
        where = locator.rpartition(":")[0]
        library = None if locator.startswith("builtin:") else named(locator)
        if library is not None:
            where = str(adapter_file(library.library.name))
        if where.endswith(".py"):
            origin: str | None = where
        else:
            specification = None if locator.startswith("builtin:") else importlib.util.find_spec(where)
            origin = specification.origin if specification is not None and specification.has_location else None
        if origin is not None:
            found[locator] = hashlib.blake2b(Path(origin).read_bytes(), digest_size=8).hexdigest()
    return found


def new_directory(started: datetime) -> Path:
    """Return a directory under reports/ that no run has yet, named after the date and time."""
    name = started.strftime("%Y%m%d-%H%M%S")
    names = itertools.chain([name], (f"{name}-{n}" for n in itertools.count(2)))
    return next(path for path in (Path("reports") / name for name in names) if not path.exists())
