"""Cases worth keeping: one row each, a file each, in a folder for every set of inputs, so that they fit any target that takes the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from samplerfuzz.cases.case import Case
from samplerfuzz.core.errors import UsageError


def kind_of(case: Case) -> str:
    """Return the name of the folder: what a target must take to be given the case, for example `history+temperature+top_k`."""
    inputs = {"history": case.history, "seed": case.seeds, "u": case.u}
    return "+".join(sorted([*case.parameters, *(name for name, value in inputs.items() if value is not None)])) or "logits"


def file_of(case: Case) -> Path:
    """Return where the case lies in a corpus; two equal cases lie in the same place."""
    # of the text, in which every NaN is the same one
    return Path(kind_of(case)) / f"{hashlib.blake2b(text_of(case).encode(), digest_size=12).hexdigest()}.json"


def text_of(case: Case) -> str:
    """Return the text of its file, exact to the bit."""
    return json.dumps(case.to_json(), allow_nan=False) + "\n"


def files(directory: Path) -> list[Path]:
    """Return the files of a corpus, in a fixed order; none where there is no directory."""
    return sorted(directory.glob("*/*.json"))


def read(path: Path) -> Case:
    """Return the case in a file.

    Raises:
      UsageError: it cannot be read or is no case.
    """
    try:
        return Case.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no case of a corpus ({type(error).__name__}: {error}); delete it, or name another corpus") from error


def cases_for(directory: Path, parameters: frozenset[str], inputs: frozenset[str]) -> Iterator[Case]:
    """Yield the cases that a target with these parameters and inputs can be given.

    Raises:
      UsageError: a file is no case.
    """
    wanted = {*parameters, *(inputs & {"seed", "u"}), *(["history"] if inputs & {"history", "prompt", "output"} else [])}
    for path in sorted((directory / ("+".join(sorted(wanted)) or "logits")).glob("*.json")):
        yield read(path)
