"""llama.cpp: a sampler chain a row, through llama-cpp-python; many rows are shared out to as many processes as there are cores.

Processes, not threads: a row takes some tens of microseconds, less than handing over Python's lock. A worker fills the array of candidates from the logits, as
`llama_sampler_sample` does, applies the chain and reads the token.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import llama_cpp
import numpy as np

from samplerfuzz.bench.workloads import Workload

_CANDIDATE = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])
_SAMPLERS: dict[str, Any] = {
    "temperature": lambda value: llama_cpp.llama_sampler_init_temp(float(value)),
    "top_k": lambda value: llama_cpp.llama_sampler_init_top_k(int(value)),
    "top_p": lambda value: llama_cpp.llama_sampler_init_top_p(float(value), 1),
    "min_p": lambda value: llama_cpp.llama_sampler_init_min_p(float(value), 1),
    "top_n_sigma": lambda value: llama_cpp.llama_sampler_init_top_n_sigma(float(value)),
}


class _Rows:
    """The chains of some rows of a batch, in this process."""

    def __init__(self, workload: Workload, logits: np.ndarray, rows: range) -> None:
        vocabulary = logits.shape[1]
        values = workload.values(rows.stop)
        self.logits, self.rows = logits, rows
        self.chains = [self._chain(workload, {name: value[row] for name, value in values.items()}, row) for row in rows]
        self.ids = np.arange(vocabulary, dtype=np.int32)
        self.candidates = np.zeros(vocabulary, _CANDIDATE)
        self.pointer = self.candidates.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))

    def _chain(self, workload: Workload, values: dict[str, float], row: int) -> tuple[Any, Any]:
        """Return the chain and the same without the draw."""
        chains = []
        for last in (llama_cpp.llama_sampler_init_dist(row), None):
            chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
            for name in workload.order:
                llama_cpp.llama_sampler_chain_add(chain, _SAMPLERS[name](values[name]))
            if last is not None:
                llama_cpp.llama_sampler_chain_add(chain, last)
            chains.append(chain)
        return chains[0], chains[1]

    def _applied(self, chain: Any, row: int) -> Any:
        self.candidates["id"], self.candidates["logit"] = self.ids, self.logits[row]
        array = llama_cpp.llama_token_data_array(data=self.pointer, size=len(self.ids), selected=-1, sorted=False)
        llama_cpp.llama_sampler_apply(chain, ctypes.byref(array))
        return array

    def __call__(self) -> np.ndarray:
        tokens = np.empty(len(self.rows), np.int64)
        for place, (row, (chain, _)) in enumerate(zip(self.rows, self.chains, strict=True)):
            array = self._applied(chain, row)
            tokens[place] = array.data[array.selected].id
        return tokens

    def kept(self) -> np.ndarray:
        kept = np.zeros((len(self.rows), len(self.ids)), bool)
        for place, (row, (_, filters)) in enumerate(zip(self.rows, self.chains, strict=True)):
            array = self._applied(filters, row)
            left = np.ctypeslib.as_array(ctypes.cast(array.data, ctypes.POINTER(ctypes.c_uint8)), (array.size * _CANDIDATE.itemsize,))
            left = left.view(_CANDIDATE)
            kept[place, left["id"][left["logit"] > -np.inf]] = True
        return kept

    def free(self) -> None:
        for pair in self.chains:
            for chain in pair:
                llama_cpp.llama_sampler_free(chain)


class _Shared:
    """The rows of a batch, shared out to workers."""

    def __init__(self, workload: Workload, logits: np.ndarray, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.memory = SharedMemory(create=True, size=logits.nbytes)
        np.ndarray(logits.shape, np.float32, self.memory.buf)[:] = logits
        ends = np.linspace(0, len(logits), workers + 1).astype(int)
        self.lines: list[Connection] = []
        self.workers = []
        for begin, end in pairwise(ends):
            here, there = context.Pipe()
            worker = context.Process(target=_work, args=(there, self.memory.name, logits.shape, workload, range(begin, end)), daemon=True)
            worker.start()
            self.lines.append(here)
            self.workers.append(worker)

    def _ask(self, what: str) -> list[np.ndarray]:
        for line in self.lines:
            line.send(what)
        return [line.recv() for line in self.lines]

    def __call__(self) -> np.ndarray:
        return np.concatenate(self._ask("draw"))

    def kept(self) -> np.ndarray:
        return np.concatenate(self._ask("kept"))

    def free(self) -> None:
        self._ask("end")
        for worker in self.workers:
            worker.join()
        self.memory.close()
        self.memory.unlink()


def _work(line: Connection, name: str, shape: tuple[int, int], workload: Workload, rows: range) -> None:
    """Answer until the end: the life of a worker."""
    memory = SharedMemory(name)
    own = _Rows(workload, np.ndarray(shape, np.float32, memory.buf), rows)
    while (asked := line.recv()) != "end":
        line.send(own() if asked == "draw" else own.kept())
    own.free()
    del own
    line.send(np.zeros(0))


class _LlamaCpp:
    def version(self) -> str:
        return f"llama-cpp-python {llama_cpp.__version__}"

    def how(self) -> str:
        return f"a llama_sampler chain a row; one row in this process, more in {_cores()} processes"

    def lacks(self, workload: Workload) -> str:
        missing = [name for name in workload.order if name not in _SAMPLERS]
        return f"it has no {', '.join(missing)}" if missing else ""

    @contextmanager
    def prepare(self, workload: Workload, logits: np.ndarray) -> Iterator[_Rows | _Shared]:
        workers = min(_cores(), len(logits))
        step = _Shared(workload, logits, workers) if workers > 1 else _Rows(workload, logits, range(len(logits)))
        try:
            yield step
        finally:
            step.free()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peer() -> _LlamaCpp:
    """Return the peer."""
    return _LlamaCpp()
