"""A monitor inside vLLM's engine: a logits processor that changes nothing.

    llm = LLM(model, logits_processors=["samplerfuzz.safety.hooks.vllm:MonitorLogitsProcessor"])

Where samplerfuzz is installed beside vLLM, the engine finds it without that. It watches nothing until it is told to: SAMPLERFUZZ_MONITOR names the file that the state of the
monitor is written to, every SAMPLERFUZZ_MONITOR_EVERY steps (1000) and once a second. The engine often runs in a process of its own, and the environment reaches it there.
SAMPLERFUZZ_REGISTRY names the registry of a census. It needs NumPy, SciPy and ml_dtypes.

vLLM has two model runners, each with an interface of its own for logits processors, and refuses to start with a processor of the other kind. This one is both.

- V1 calls it before penalties and temperature. A request with penalties, whose law is not that of the temperature and the filters alone, is counted and left alone.
- V2, the default where Triton is, calls it after the penalties, so such a request is watched too.

A request with a seed that another had is counted and left alone: its tokens are drawn with the same noise. What a processor before this one does to the logits is not seen, nor
is the last token of a request until the engine takes its next step.

Tried within a whole `LLM` of vLLM 0.32.0 on the CPU: with V1 as it is, with V2 through Triton's interpreter. Not tried: engines side by side (data parallel; each writes a file
of its own, with its number in the name), drafts that are verified (speculative decoding with V2).
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, MoveDirectionality

from samplerfuzz.core.errors import SamplerFuzzError
from samplerfuzz.probe.census.registry import load_registry
from samplerfuzz.safety.declared import Declared
from samplerfuzz.safety.hooks.batch import BatchMonitor
from samplerfuzz.safety.hooks.callback import TokenMonitor
from samplerfuzz.safety.hooks.slots import SlotTokens, emitting_rows

try:
    from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as SlotLogitsProcessor
except ImportError:  # before vLLM 0.32
    SlotLogitsProcessor = object

STATE, EVERY, REGISTRY = "SAMPLERFUZZ_MONITOR", "SAMPLERFUZZ_MONITOR_EVERY", "SAMPLERFUZZ_REGISTRY"
_PENALTIES = {"presence_penalty": 0.0, "frequency_penalty": 0.0, "repetition_penalty": 1.0}
_FORCING = ("thinking_token_budget", "watermarking")  # done to the logits, or to the draw, after all that is seen here
_GREEDY_BELOW = 1e-5
_MOST_SEEDS = 2**16
_SECONDS = 1.0  # between two writings, at most, while there are steps


def declared_from(params: Any, *, penalized: bool = False) -> Declared | None:
    """Return what a request's `SamplingParams` declare of temperature and filters; None where the law is another.

    Args:
      params: of the request.
      penalized: whether its penalties are in the logits already.
    """
    if not penalized and any(getattr(params, name, neutral) != neutral for name, neutral in _PENALTIES.items()):
        return None
    if any(value is not None and value is not False for value in (getattr(params, name, None) for name in _FORCING)):
        return None
    given = {name: getattr(params, name, None) for name in ("temperature", "top_k", "top_p", "min_p")}
    known = {name: value for name, value in given.items() if value is not None}
    if known.get("temperature", 1.0) < _GREEDY_BELOW:
        known = {"temperature": 0.0}
    try:
        return Declared.of(known, dialect="vllm")
    except SamplerFuzzError:
        return None


class MonitorLogitsProcessor(LogitsProcessor, SlotLogitsProcessor):
    """Watch every request of the engine.

    Args:
      vllm_config: the engine's.
      where: of V1 the device, of V2 the table of its requests.
      is_pin_memory: V1's.
    """

    def __init__(self, vllm_config: Any, where: Any, is_pin_memory: bool = False) -> None:
        state, registry = os.environ.get(STATE), os.environ.get(REGISTRY)
        self._path = _file_of(vllm_config, Path(state)) if state else None
        self._every, self._steps, self._written = int(os.environ.get(EVERY, "1000")), 0, time.monotonic()
        tokens = load_registry(Path(registry)).tokens if registry else None
        self.batch = BatchMonitor(TokenMonitor(registry=tokens)) if self._path else None
        self._slots, self._seeds = where, set[int]()

    def is_argmax_invariant(self) -> bool:
        """Return False: processors that are invariant are not called for greedy requests, and are called after the temperature."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the requests of the batch: V1."""
        if self.batch is None or batch_update is None:
            return
        self.batch.change(
            removed=batch_update.removed,
            added=[(index, self._declared(params), output) for index, params, _, output in batch_update.added],
            moved=[(first, second, way == MoveDirectionality.SWAP) for first, second, way in batch_update.moved],
        )

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        """Take the request that comes into a slot, and return whether steps with it are to be shown: V2."""
        if self.batch is None:
            return False
        slots = self._slots
        output = SlotTokens(slots.all_token_ids.gpu, slots.total_len.gpu, req_idx, int(slots.prompt_len.np[req_idx]))
        self.batch.change(added=[(req_idx, self._declared(sampling_params, penalized=True), output)])
        return True

    def apply(self, logits: Any, ctx: Any = None) -> Any:
        """Note the logits, and let them go on as they came; `ctx`: V2's, which row is whose."""
        if self.batch is None or self._path is None:
            return logits
        rows = None
        if ctx is not None:
            found = (ctx.expanded_idx_mapping, ctx.expanded_local_pos, ctx.pos, self._slots.total_len.gpu)
            rows = emitting_rows(*(tensor.cpu().numpy() for tensor in found))
        self.batch.step(logits.detach().float().cpu().numpy(), rows)
        self._steps += 1
        if self._steps % self._every == 0 or time.monotonic() - self._written > _SECONDS:
            self.write(self._path)
        return logits

    def write(self, path: Path) -> None:
        """Write report and state as JSON, the old file or the new one, never half of it."""
        if self.batch is not None:
            counts = {"unwatched": self.batch.unwatched, "lost": self.batch.lost}
            document = {**counts, "report": self.batch.monitor.describe(), "state": self.batch.monitor.to_json()}
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            part.write_text(json.dumps(document, allow_nan=False) + "\n", encoding="utf-8")
            part.replace(path)
            self._written = time.monotonic()

    def _declared(self, params: Any, *, penalized: bool = False) -> Declared | None:
        seed = getattr(params, "seed", None)
        if seed is not None and (seed in self._seeds or len(self._seeds) >= _MOST_SEEDS):
            return None
        self._seeds |= set() if seed is None else {seed}
        return declared_from(params, penalized=penalized)


def _file_of(vllm_config: Any, path: Path) -> Path | None:
    """Return the file of this process: of the processes that compute the same logits, one writes; engines side by side have a file each."""
    ranks: Any = getattr(vllm_config, "parallel_config", None)
    if getattr(ranks, "rank", 0) % getattr(ranks, "tensor_parallel_size", 1):
        return None
    if getattr(ranks, "data_parallel_size", 1) == 1:
        return path
    return path.with_name(f"{path.stem}-{ranks.data_parallel_rank}{path.suffix}")
