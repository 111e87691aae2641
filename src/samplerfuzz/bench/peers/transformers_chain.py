"""transformers: its logits processors one after another, softmax and `torch.multinomial`, as its `generate` samples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import transformers
from transformers import LogitsProcessorList, MinPLogitsWarper, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from samplerfuzz.bench.workloads import Workload

_PROCESSORS: dict[str, Any] = {
    "temperature": lambda value: TemperatureLogitsWarper(float(value)),
    "top_k": lambda value: TopKLogitsWarper(int(value)),
    "top_p": lambda value: TopPLogitsWarper(float(value)),
    "min_p": lambda value: MinPLogitsWarper(float(value)),
}
_OFF = {"top_k": 0, "top_p": 1, "min_p": 0}


class _Step:
    """All rows in one call; where they differ in their parameters, each in a call of its own, since a processor has one value."""

    def __init__(self, workload: Workload, logits: np.ndarray) -> None:
        rows = len(logits)
        values = workload.values(rows)
        self.groups = [slice(row, row + 1) for row in range(rows)] if workload.per_row else [slice(0, rows)]
        self.lists = [
            LogitsProcessorList(
                _PROCESSORS[name](values[name][group.start]) for name in workload.order if values[name][group.start] != _OFF.get(name)
            )
            for group in self.groups
        ]
        self.logits = torch.from_numpy(logits)
        self.ids = torch.zeros((rows, 1), dtype=torch.long)
        torch.manual_seed(0)

    @torch.no_grad()
    def _scores(self) -> list[torch.Tensor]:
        return [processors(self.ids[group], self.logits[group]) for group, processors in zip(self.groups, self.lists, strict=True)]

    @torch.no_grad()
    def __call__(self) -> np.ndarray:
        drawn = [torch.multinomial(torch.softmax(scores, dim=-1), 1)[:, 0] for scores in self._scores()]
        return torch.cat(drawn).numpy()

    def kept(self) -> np.ndarray:
        return torch.cat(self._scores()).numpy() > -np.inf


class _Transformers:
    def version(self) -> str:
        return f"{transformers.__version__}, torch {torch.__version__}"

    def how(self) -> str:
        return f"logits processors, softmax, torch.multinomial; {torch.get_num_threads()} threads; rows that differ in their parameters one by one"

    def lacks(self, workload: Workload) -> str:
        missing = [name for name in workload.order if name not in _PROCESSORS]
        return f"it has no {', '.join(missing)}" if missing else ""

    @contextmanager
    def prepare(self, workload: Workload, logits: np.ndarray) -> Iterator[_Step]:
        yield _Step(workload, logits)


def peer() -> _Transformers:
    """Return the peer."""
    return _Transformers()
