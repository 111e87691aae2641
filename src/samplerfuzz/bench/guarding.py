"""What the guard adds: the same streams asked of a bare server and through the guard, in turns, in one run."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import samplerfuzz
from samplerfuzz.bench.fast_server import END, EVENTS
from samplerfuzz.bench.machine import describe, load_average
from samplerfuzz.core.errors import SamplerFuzzError

STREAMS = (1, 16, 128)
_TURNS = 4
_BODY = json.dumps(
    {"model": "m", "messages": [{"role": "user", "content": "word " * 100}], "temperature": 0.7, "top_p": 0.95, "stream": True}
).encode()
_REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY) + _BODY
)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One way to the server: whole streams. Milliseconds from the request to the last byte."""

    requests: int
    per_second: float
    p50: float
    p99: float


@dataclass(frozen=True, kw_only=True)
class Line:
    """So many streams at a time, and the difference of the quantiles."""

    streams: int
    bare: Side
    guarded: Side
    added_p50: float
    added_p99: float


def measured(streams: Sequence[int], *, seconds: float, policy: Path | None, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return what the guard adds at each number of concurrent streams.

    Args:
      streams: numbers of streams at a time.
      seconds: for each side of each line.
      policy: of the guard; None: the shipped one, with which every answer is watched.
      tell: says what is under way.

    Raises:
      SamplerFuzzError: a process did not start, or an answer was not the stream that was sent.
    """
    before = load_average()
    with _server() as bare, _guard(bare, policy) as (guarded, process):
        asyncio.run(_round(guarded, 8, 0.5))
        memory = [process.memory_info().rss]
        lines = []
        for count in streams:
            tell(f"{count} streams at a time")
            lines.append(asyncio.run(_line(bare, guarded, count, seconds)))
            memory.append(process.memory_info().rss)
    return {
        "machine": asdict(describe()),
        "load_average": [before, load_average()],
        "events": EVENTS,
        "guard_memory_mib": [round(rss / 2**20, 1) for rss in memory],
        "lines": [asdict(line) for line in lines],
    }


async def _line(bare: int, guarded: int, count: int, seconds: float) -> Line:
    taken: dict[int, list[float]] = {bare: [], guarded: []}
    spent = dict.fromkeys(taken, 0.0)
    for _ in range(_TURNS):
        for port in taken:
            begun = time.perf_counter()
            taken[port] += await _round(port, count, seconds / _TURNS)
            spent[port] += time.perf_counter() - begun
    one, other = (_side(taken[port], spent[port]) for port in (bare, guarded))
    return Line(streams=count, bare=one, guarded=other, added_p50=round(other.p50 - one.p50, 3), added_p99=round(other.p99 - one.p99, 3))


def _side(taken: list[float], spent: float) -> Side:
    p50, p99 = (round(float(value) * 1e3, 3) for value in np.quantile(taken, (0.5, 0.99)))
    return Side(requests=len(taken), per_second=round(len(taken) / spent, 1), p50=p50, p99=p99)


async def _round(port: int, count: int, seconds: float) -> list[float]:
    end = time.perf_counter() + seconds
    taken: list[float] = []
    await asyncio.gather(*(_stream_after_stream(port, end, taken) for _ in range(count)))
    return taken


async def _stream_after_stream(port: int, end: float, taken: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while not taken or time.perf_counter() < end:
            begun = time.perf_counter()
            writer.write(_REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            events = (await reader.readuntil(END)).count(b"data: ") if head.startswith(b"HTTP/1.1 200") else 0
            taken.append(time.perf_counter() - begun)
            if events != EVENTS + 1:
                raise SamplerFuzzError(f"port {port} answered {head[:100]!r} and {events} events; expected a stream of {EVENTS} events")
    except asyncio.IncompleteReadError as error:
        raise SamplerFuzzError(f"port {port} broke off after {error.partial[:100]!r}") from error
    finally:
        writer.close()


@contextmanager
def _server() -> Iterator[int]:
    with _process("samplerfuzz.bench.fast_server", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.strip().isdigit():
            raise SamplerFuzzError("the bare server did not start")
        yield int(line)


@contextmanager
def _guard(server: int, policy: Path | None) -> Iterator[tuple[int, psutil.Process]]:
    options = ["guard", "--upstream", f"http://127.0.0.1:{server}", "--listen", "127.0.0.1:0", "--max-concurrency", "1024"]
    options += [] if policy is None else ["--policy", str(policy)]
    with _process("samplerfuzz", *options, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        if process.stderr.readline().strip() != "ready":
            raise SamplerFuzzError(f"the guard did not start: {first.strip()}")
        yield int(first.split(" at ")[1].split("/;")[0].rpartition(":")[2]), psutil.Process(process.pid)


@contextmanager
def _process(module: str, *options: str, stdout: int | None = None, stderr: int | None = None) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", module, *options]
    # this copy of the package, whichever is installed
    paths = [str(Path(samplerfuzz.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen(command, env=environment, stdout=stdout, stderr=stderr, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
