"""Requests that share a batch, come and go, and learn their tokens late: what a server's hook has to keep track of. No server is imported.

A request is watched from the logits of a step to the token that they gave, which stands in its list of output ids one step later, or, where steps overlap, some steps later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from samplerfuzz.safety.declared import Declared
from samplerfuzz.safety.hooks.callback import TokenMonitor

MOST_PENDING = 8


@dataclass(kw_only=True)
class Request:
    """One request under way.

    Attributes:
      declared: what it asked for.
      output: its output ids, a list that the server goes on writing; −1 for an id that is not known yet.
      pending: position in `output` -> logits [V] of the step that fills it.
    """

    declared: Declared
    output: Sequence[int]
    pending: dict[int, np.ndarray] = field(default_factory=dict)


class BatchMonitor:
    """Feed a `TokenMonitor` from the steps of a batch.

    Args:
      monitor: what is fed.

    Attributes:
      requests: index in the batch -> the request that is watched there.
      unwatched: requests that asked for something that cannot be watched.
      lost: steps whose token never became known.
    """

    def __init__(self, monitor: TokenMonitor) -> None:
        self.monitor = monitor
        self.requests: dict[int, Request] = {}
        self.unwatched = self.lost = 0

    def change(
        self,
        *,
        removed: Iterable[int] = (),
        added: Iterable[tuple[int, Declared | None, Sequence[int]]] = (),
        moved: Iterable[tuple[int, int, bool]] = (),
    ) -> None:
        """Follow the batch: first what was removed, then what was added (with its list of output ids; None: not to be watched), then what moved (True: both ways)."""
        for index in removed:
            self._drop(index)
        for index, declared, output in added:
            self._drop(index)
            if declared is None:
                self.unwatched += 1
            else:
                self.requests[index] = Request(declared=declared, output=output)
        for source, target, swap in moved:
            first, second = self.requests.pop(source, None), self.requests.pop(target, None)
            if first is not None:
                self.requests[target] = first
            if second is not None and swap:
                self.requests[source] = second
            elif second is not None:
                self._end(second)

    def step(self, logits: np.ndarray, rows: Mapping[int, int] | None = None) -> None:
        """Take the tokens that have become known and note the logits [B, V] of the step that begins; `rows`: index -> row, where they are not the same."""
        for index, request in self.requests.items():
            self._take(request)
            row = index if rows is None else rows.get(index, len(logits))
            if row < len(logits):
                request.pending[len(request.output)] = np.array(logits[row], np.float32)
            while len(request.pending) > MOST_PENDING:
                del request.pending[min(request.pending)]
                self.lost += 1

    def close(self) -> None:
        """Take what has become known of every request and let it go."""
        for index in list(self.requests):
            self._drop(index)

    def _take(self, request: Request) -> None:
        for position in [p for p in request.pending if p < len(request.output) and request.output[p] >= 0]:
            self.monitor(request.pending.pop(position), int(request.output[position]), declared=request.declared)

    def _drop(self, index: int) -> None:
        if (request := self.requests.pop(index, None)) is not None:
            self._end(request)

    def _end(self, request: Request) -> None:
        self._take(request)
        self.lost += len(request.pending)
