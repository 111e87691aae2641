"""The worker: a process of its own for code that may crash or hang, driven by frames over pipes and, where they are large, shared memory.

Run as `python worker.py [DESCRIPTOR DESCRIPTOR]`. Standard library and NumPy only, so that this one file works in any interpreter, whatever else is
installed there. A frame is 16 bytes (the mark `sfz1`, the length of the header as uint32, that of the body as uint64, little
endian), a JSON header and the raw bytes of arrays; `header["arrays"]` names each with dtype and shape. A large body is not sent: `header["shared"]` bytes lie in memory that both
processes map, one for requests and one for answers, whose descriptors the worker is started with. Nothing is pickled.

The first frame opens a driver: `path`, where given, becomes sys.path, `driver` is "FILE.py:NAME", and NAME(header) returns the answer's header
and a function (header, arrays) -> (header, arrays) that answers every later frame, or None where it refuses. In the header it finds
`alive`, to be called where a part of the work is done: the parent then waits as long again. A driver that raises has a bug: the
answer is its traceback, `bug`. Requests come on standard input and answers go to what was standard output. Both are made private
first: what the code under test prints lands on standard error, which the parent drains, and what it reads is empty.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.util
import json
import math
import mmap
import os
import resource
import struct
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Header = dict[str, Any]
Arrays = Mapping[str, np.ndarray]
Call = Callable[[Header, Arrays], tuple[Header, Arrays]]

_PREFIX = struct.Struct("<4sIQ")
_MARK = b"sfz1"
PREFIX_SIZE = _PREFIX.size
_ALIGNMENT = 16
LARGE = 1 << 17  # bytes: what two copies through a pipe take longer for than one into memory that is there already


class Shared:
    """Memory without a name that two processes map: it is gone when both are.

    Args:
      descriptor: of a file in memory; its owner closes it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._map: mmap.mmap | None = None

    def write(self, arrays: list[np.ndarray]) -> int:
        """Put the arrays down one behind another, each at a multiple of 16 bytes, and return the bytes they take."""
        places = np.cumsum([0, *(array.nbytes + -array.nbytes % _ALIGNMENT for array in arrays)]).tolist()
        if self._map is None or len(self._map) < places[-1]:
            os.ftruncate(self._descriptor, 2 * places[-1])
            self._map = mmap.mmap(self._descriptor, 0)
        for begin, array in zip(places, arrays):
            np.frombuffer(self._map, array.dtype, array.size, begin)[:] = array.ravel()
        return int(places[-1])

    def read(self, size: int) -> bytearray:
        """Return a copy of the first `size` bytes: the next write must not change what was read."""
        if self._map is None or len(self._map) < size:
            self._map = mmap.mmap(self._descriptor, 0)
        return bytearray(memoryview(self._map)[:size])


def encode_frame(header: Header, arrays: Arrays | None = None, shared: Shared | None = None) -> bytes:
    """Return a frame; arrays start at multiples of 16 bytes. Where there is shared memory, a large body is put there."""
    given = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    told = {**header, "arrays": [[name, array.dtype.str, array.shape] for name, array in given.items()]}
    body: list[bytes] = []
    if shared is not None and sum(array.nbytes for array in given.values()) >= LARGE:
        with contextlib.suppress(OSError):  # no room, or a limit on the size of a file: then it is sent
            told["shared"] = shared.write(list(given.values()))
    if "shared" not in told:
        body = [part for array in given.values() for part in (array.tobytes(), bytes(-array.nbytes % _ALIGNMENT))]
    text = json.dumps(told).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return b"".join([_PREFIX.pack(_MARK, len(text), sum(map(len, body))), text, *body])


def frame_sizes(prefix: bytes | bytearray) -> tuple[int, int]:
    """Return the lengths of header and body that the first 16 bytes of a frame announce.

    Raises:
      ValueError: these are not the first bytes of a frame.
    """
    mark, header, body = _PREFIX.unpack_from(prefix)
    if mark != _MARK:
        raise ValueError(f"no frame begins with {mark!r}; expected {_MARK!r}")
    return header, body


def decode_frame(rest: bytearray, header_size: int, shared: Shared | None = None) -> tuple[Header, dict[str, np.ndarray]]:
    """Return header and arrays of a frame without its prefix; the arrays are views of `rest`, or of a copy of what lies in shared memory."""
    header: Header = json.loads(rest[:header_size])
    arrays, offset = {}, header_size
    if "shared" in header:
        assert shared is not None
        rest, offset = shared.read(header.pop("shared")), 0
    for name, dtype, shape in header.pop("arrays"):
        array = np.frombuffer(rest, np.dtype(dtype), math.prod(shape), offset).reshape(shape)
        arrays[name] = array
        offset += array.nbytes + -array.nbytes % _ALIGNMENT
    return header, arrays


def main() -> None:
    """Answer frames until the parent closes the pipe."""
    requests, answers = _private_streams()
    memories = [Shared(_private(int(number))) for number in sys.argv[1:3]]
    asked, answered = memories if memories else (None, None)
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # a fuzzer would fill the disk
    owner = os.getpid()

    def answer(header: Header, arrays: Arrays) -> None:
        if os.getpid() != owner:
            os._exit(0)  # a child that the code under test forked and let return
        unsent = memoryview(encode_frame(header, arrays, answered))
        while unsent:
            unsent = unsent[os.write(answers, unsent) :]

    def alive() -> None:
        answer({"alive": True}, {})

    opening = _read_frame(requests, asked)
    if opening is None:
        return
    sys.path[:] = opening[0].get("path", sys.path)
    header, call = _driver(opening[0]["driver"])(opening[0])
    answer(header, {})
    while call is not None and (frame := _read_frame(requests, asked)) is not None:
        try:
            reply = call({**frame[0], "alive": alive}, frame[1])
        except Exception:
            reply = {"bug": traceback.format_exc()}, {}
        answer(*reply)


def _private_streams() -> tuple[int, int]:
    """Return the descriptors of requests and answers, and take 0 and 1 away from them."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # the last words before a crash are the telling ones

    def forget() -> None:
        os.close(requests)
        os.close(answers)

    # a forked child that lives on must not hold the pipes open
    os.register_at_fork(after_in_child=forget)
    return requests, answers


def _private(descriptor: int) -> int:
    os.set_inheritable(descriptor, False)
    return descriptor


def _read_frame(descriptor: int, shared: Shared | None) -> tuple[Header, dict[str, np.ndarray]] | None:
    prefix = _read(descriptor, PREFIX_SIZE)
    if prefix is None:
        return None
    header_size, body_size = frame_sizes(prefix)
    rest = _read(descriptor, header_size + body_size)
    return None if rest is None else decode_frame(rest, header_size, shared)


def _read(descriptor: int, size: int) -> bytearray | None:
    """Return exactly `size` bytes, or None where the pipe ends first."""
    buffer = bytearray(size)
    unread = memoryview(buffer)
    while unread:
        got = os.readv(descriptor, [unread])
        if not got:
            return None
        unread = unread[got:]
    return buffer


def _driver(locator: str) -> Callable[[Header], tuple[Header, Call | None]]:
    path, _, name = locator.rpartition(":")
    specification = importlib.util.spec_from_file_location("samplerfuzz_driver", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    driver: Callable[[Header], tuple[Header, Call | None]] = getattr(module, name)
    return driver


if __name__ == "__main__":
    main()
