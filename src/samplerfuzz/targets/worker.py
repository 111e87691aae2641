"""The worker: a process of its own for code that may crash or hang, driven by frames over pipes.

Run as `python worker.py`. Standard library and NumPy only, so that this one file works in any interpreter, whatever else is
installed there. A frame is 16 bytes (the mark `sfz1`, the length of the header as uint32, that of the body as uint64, little
endian), a JSON header and the raw bytes of arrays; `header["arrays"]` names each with dtype and shape. Nothing is pickled.

The first frame opens a driver: `path`, where given, becomes sys.path, `driver` is "FILE.py:NAME", and NAME(header) returns the answer's header
and a function (header, arrays) -> (header, arrays) that answers every later frame, or None where it refuses. In the header it finds
`alive`, to be called where a part of the work is done: the parent then waits as long again. A driver that raises has a bug: the
answer is its traceback, `bug`. Requests come on standard input and answers go to what was standard output. Both are made private
first: what the code under test prints lands on standard error, which the parent drains, and what it reads is empty.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import json
import math
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


def encode_frame(header: Header, arrays: Arrays | None = None) -> bytes:
    """Return a frame; arrays start at multiples of 16 bytes."""
    given = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    described = [[name, array.dtype.str, array.shape] for name, array in given.items()]
    text = json.dumps({**header, "arrays": described}).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    body = [part for array in given.values() for part in (array.tobytes(), bytes(-array.nbytes % _ALIGNMENT))]
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


def decode_frame(rest: bytearray, header_size: int) -> tuple[Header, dict[str, np.ndarray]]:
    """Return header and arrays of a frame without its prefix; the arrays are views of `rest`."""
    header: Header = json.loads(rest[:header_size])
    arrays, offset = {}, header_size
    for name, dtype, shape in header.pop("arrays"):
        array = np.frombuffer(rest, np.dtype(dtype), math.prod(shape), offset).reshape(shape)
        arrays[name] = array
        offset += array.nbytes + -array.nbytes % _ALIGNMENT
    return header, arrays


def main() -> None:
    """Answer frames until the parent closes the pipe."""
    requests, answers = _private_streams()
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # a fuzzer would fill the disk
    owner = os.getpid()

    def answer(header: Header, arrays: Arrays) -> None:
        if os.getpid() != owner:
            os._exit(0)  # a child that the code under test forked and let return
        unsent = memoryview(encode_frame(header, arrays))
        while unsent:
            unsent = unsent[os.write(answers, unsent) :]

    def alive() -> None:
        answer({"alive": True}, {})

    opening = _read_frame(requests)
    if opening is None:
        return
    sys.path[:] = opening[0].get("path", sys.path)
    header, call = _driver(opening[0]["driver"])(opening[0])
    answer(header, {})
    while call is not None and (frame := _read_frame(requests)) is not None:
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


def _read_frame(descriptor: int) -> tuple[Header, dict[str, np.ndarray]] | None:
    prefix = _read(descriptor, PREFIX_SIZE)
    if prefix is None:
        return None
    header_size, body_size = frame_sizes(prefix)
    rest = _read(descriptor, header_size + body_size)
    return None if rest is None else decode_frame(rest, header_size)


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
