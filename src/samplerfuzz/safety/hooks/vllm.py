"""A monitor inside vLLM's v1 engine: a logits processor that changes nothing.

    llm = LLM(model, logits_processors=["samplerfuzz.safety.hooks.vllm:MonitorLogitsProcessor"])

It watches nothing until it is told to: SAMPLERFUZZ_MONITOR names the file that the state of the monitor is written to, every SAMPLERFUZZ_MONITOR_EVERY steps (1000). The engine
often runs in a process of its own, and the environment reaches it there. SAMPLERFUZZ_REGISTRY names the registry of a census.

vLLM calls it before penalties and temperature. A request with penalties, whose law is not that of the temperature and the filters alone, is counted and left alone.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, MoveDirectionality

from samplerfuzz.core.errors import SamplerFuzzError
from samplerfuzz.probe.census.registry import load_registry
from samplerfuzz.safety.declared import Declared
from samplerfuzz.safety.hooks.batch import BatchMonitor
from samplerfuzz.safety.hooks.callback import TokenMonitor

STATE, EVERY, REGISTRY = "SAMPLERFUZZ_MONITOR", "SAMPLERFUZZ_MONITOR_EVERY", "SAMPLERFUZZ_REGISTRY"
_CHANGING = {"presence_penalty": 0.0, "frequency_penalty": 0.0, "repetition_penalty": 1.0}
_GREEDY_BELOW = 1e-5


def declared_from(params: Any) -> Declared | None:
    """Return what a request's `SamplingParams` declare of temperature and filters; None where the law is another."""
    if any(getattr(params, name, neutral) != neutral for name, neutral in _CHANGING.items()):
        return None
    given = {name: getattr(params, name, None) for name in ("temperature", "top_k", "top_p", "min_p")}
    known = {name: value for name, value in given.items() if value is not None}
    if known.get("temperature", 1.0) < _GREEDY_BELOW:
        known = {"temperature": 0.0}
    try:
        return Declared.of(known, dialect="vllm")
    except SamplerFuzzError:
        return None


class MonitorLogitsProcessor(LogitsProcessor):
    """Watch every request of the engine. The arguments are those of every logits processor."""

    def __init__(self, vllm_config: Any, device: Any, is_pin_memory: bool) -> None:
        state, registry = os.environ.get(STATE), os.environ.get(REGISTRY)
        self._path = Path(state) if state else None
        self._every, self._steps = int(os.environ.get(EVERY, "1000")), 0
        tokens = load_registry(Path(registry)).tokens if registry else None
        self.batch = BatchMonitor(TokenMonitor(registry=tokens)) if self._path else None

    def is_argmax_invariant(self) -> bool:
        """Return False: processors that are invariant are not called for greedy requests, and are called after the temperature."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the requests of the batch."""
        if self.batch is None or batch_update is None:
            return
        self.batch.change(
            removed=batch_update.removed,
            added=[(index, declared_from(params), output) for index, params, _, output in batch_update.added],
            moved=[(first, second, way == MoveDirectionality.SWAP) for first, second, way in batch_update.moved],
        )

    def apply(self, logits: Any) -> Any:
        """Note the logits, and let them go on as they came."""
        if self.batch is not None and self._path is not None:
            self.batch.step(logits.detach().float().cpu().numpy())
            self._steps += 1
            if self._steps % self._every == 0:
                self.write(self._path)
        return logits

    def write(self, path: Path) -> None:
        """Write report and state as JSON, the old file or the new one, never half of it."""
        if self.batch is not None:
            counts = {"unwatched": self.batch.unwatched, "lost": self.batch.lost}
            document = {**counts, "report": self.batch.monitor.describe(), "state": self.batch.monitor.to_json()}
            part = path.with_name(path.name + ".part")
            part.write_text(json.dumps(document, allow_nan=False) + "\n", encoding="utf-8")
            part.replace(path)
