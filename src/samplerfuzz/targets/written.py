"""A target that leaves every case on disk before it is called: when the process dies in a call, the call can be told."""

from __future__ import annotations

import os
from pathlib import Path

from samplerfuzz.cases import Case
from samplerfuzz.targets.frames import case_arrays, case_of, spec_header, spec_of
from samplerfuzz.targets.target import Outcome, Target, TargetSpec
from samplerfuzz.targets.worker import PREFIX_SIZE, decode_frame, encode_frame, frame_sizes

_IDLE, _UNDER_WAY = b"\0", b"\1"


class WrittenTarget:
    """Write each case to `path`, then run it on `target`.

    The file is one byte that says whether a call is under way, and a frame with specification and case. What is written survives the
    death of the process, not that of the machine: nothing waits for the disk.

    Raises:
      OSError: the file cannot be written.
    """

    def __init__(self, target: Target, path: Path) -> None:
        self.spec, self._target = target.spec, target
        self._header = spec_header(target.spec)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)

    def run(self, case: Case) -> Outcome:
        """Write the case and call the target."""
        header = {"spec": self._header, "regime": case.regime, "strategy": case.strategy}
        os.pwrite(self._file, encode_frame(header, case_arrays(case)), len(_IDLE))
        os.pwrite(self._file, _UNDER_WAY, 0)
        try:
            return self._target.run(case)
        finally:
            os.pwrite(self._file, _IDLE, 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def call_under_way(path: Path) -> tuple[TargetSpec, Case] | None:
    """Return the specification and the case of the call in which the process that wrote `path` has ended; None where it was in none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if not content.startswith(_UNDER_WAY):
        return None
    frame = content[len(_UNDER_WAY) :]
    size, _ = frame_sizes(frame)
    header, arrays = decode_frame(bytearray(frame[PREFIX_SIZE:]), size)
    return spec_of(header["spec"]), case_of(arrays).with_(regime=header["regime"], strategy=header["strategy"])
