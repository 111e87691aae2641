"""llama.cpp: its server inside this process (xllamacpp), the rows of a batch as prompts of one request, a slot each."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xllamacpp

from samplerfuzz.bench.peers.float32_gguf import write_float32
from samplerfuzz.core.errors import SamplerFuzzError

_QUIET, _ANY_PORT = -1, 0


class _LlamaCpp:
    def __init__(self, path: Path, rows: int, positions: int) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx, params.n_parallel, params.n_batch = rows * positions, rows, max(2048, rows * positions)
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = cores()
        params.cache_prompt, params.warmup, params.verbosity, params.port = False, True, _QUIET, _ANY_PORT
        self._server = xllamacpp.Server(params)

    def _answer(self, prompts: Sequence[Sequence[int]], count: int, **more: Any) -> Any:
        rows = [list(prompt) for prompt in prompts]
        asked = {
            "prompt": rows if len(rows) > 1 else rows[0],
            "max_tokens": count,
            "temperature": 0,
            "ignore_eos": True,
            "cache_prompt": False,
        }
        answer = self._server.handle_completions({**asked, **more})
        if "choices" not in answer or len(answer["choices"]) != len(rows):
            raise SamplerFuzzError(f"llama.cpp did not answer {len(rows)} prompts: {str(answer)[:200]}")
        return answer

    def decode(self, prompts: Sequence[Sequence[int]], steps: int) -> float:
        told = self._answer(prompts, 1 + steps)["timings"]
        if told["predicted_n"] != 1 + steps:
            raise SamplerFuzzError(f"llama.cpp drew {told['predicted_n']} tokens, expected {1 + steps}")
        return float(told["predicted_ms"]) / 1e3  # from the first token on, of one row: all go in step

    def prefill(self, prompt: Sequence[int]) -> float:
        begun = time.perf_counter()
        self._answer([prompt], 1)
        return time.perf_counter() - begun

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        (choice,) = self._answer([prompt], count, logprobs=1)["choices"]
        return [int(entry["id"]) for entry in choice["logprobs"]["content"]]


class LlamaCpp:
    """The peer, with the file as it is or de-quantised."""

    def __init__(self, *, float32: bool) -> None:
        self._float32 = float32

    def version(self) -> str:
        """Return the version of xllamacpp, which holds llama.cpp."""
        return f"xllamacpp {xllamacpp.__version__}"

    def how(self) -> str:
        """Return in a sentence what is called."""
        return f"its server in this process, {'the weights in float32' if self._float32 else 'the file as it is'}, {cores()} threads"

    def lacks(self, model: Path) -> str:
        """Return why it cannot run the model, or nothing."""
        return "it reads GGUF files only" if model.is_dir() else ""

    @contextmanager
    def load(self, model: Path, rows: int, positions: int) -> Iterator[_LlamaCpp]:
        """Load a file for at most so many rows of so many positions."""
        with tempfile.TemporaryDirectory() as folder:
            path = model
            if self._float32:
                path = Path(folder) / "float32.gguf"
                write_float32(model, path)
            yield _LlamaCpp(path, rows, positions)


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peer() -> LlamaCpp:
    """Return the peer with the file as it is."""
    return LlamaCpp(float32=False)
