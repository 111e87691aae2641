"""One call of a target: everything it is given, exactly."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from samplerfuzz.core.floats import decode, encode
from samplerfuzz.core.registry import parameter


@dataclass(frozen=True, kw_only=True)
class Case:
    """Inputs of one call.

    Attributes:
      logits: [B, V] float32.
      parameters: name -> [B] float64 array; what is no number -> list of B dicts (biases) or B lists (ids). A scalar contract gets equal entries.
      history: B integer arrays, or None.
      prompt_length: [B] how many of the history tokens belong to the prompt.
      seeds: [B] int64, or None; a scalar contract gets the first.
      u: [B] float64 in [0, 1), or None.
      regime: how the logits were made.
      strategy: how the parameters were made.
    """

    logits: np.ndarray
    parameters: dict[str, Any] = field(default_factory=dict)
    history: tuple[np.ndarray, ...] | None = None
    prompt_length: np.ndarray | None = None
    seeds: np.ndarray | None = None
    u: np.ndarray | None = None
    regime: str = ""
    strategy: str = ""

    @property
    def rows(self) -> int:
        """Number of rows B."""
        return int(self.logits.shape[0])

    @property
    def vocabulary(self) -> int:
        """Vocabulary size V."""
        return int(self.logits.shape[1])

    def take(self, rows: list[int] | np.ndarray) -> Case:
        """Return the case of some rows, in the order given."""
        rows = np.asarray(rows, np.int64)

        def pick(value: Any) -> Any:
            return [value[r] for r in rows] if isinstance(value, list) else value[rows]

        return replace(
            self,
            logits=self.logits[rows],
            parameters={name: pick(value) for name, value in self.parameters.items()},
            history=None if self.history is None else tuple(self.history[r] for r in rows),
            prompt_length=None if self.prompt_length is None else self.prompt_length[rows],
            seeds=None if self.seeds is None else self.seeds[rows],
            u=None if self.u is None else self.u[rows],
        )

    def with_(self, **changes: Any) -> Case:
        """Return a copy with some fields replaced."""
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Return exact JSON-ready data."""
        return {
            "logits": encode(self.logits.astype(np.float64)),
            "parameters": encode(self.parameters),
            "history": None if self.history is None else [ids.tolist() for ids in self.history],
            "prompt_length": None if self.prompt_length is None else self.prompt_length.tolist(),
            "seeds": None if self.seeds is None else self.seeds.tolist(),
            "u": None if self.u is None else encode(self.u),
            "regime": self.regime,
            "strategy": self.strategy,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Case:
        """Invert `to_json`."""
        return cls(
            logits=np.array(decode(data["logits"]), np.float32).reshape(len(data["logits"]), -1),
            parameters={
                name: np.array(decode(value), np.float64) if parameter(name).is_number else [_row(row) for row in decode(value)]
                for name, value in data["parameters"].items()
            },
            history=None if data["history"] is None else tuple(np.array(ids, np.int64) for ids in data["history"]),
            prompt_length=None if data["prompt_length"] is None else np.array(data["prompt_length"], np.int64),
            seeds=None if data["seeds"] is None else np.array(data["seeds"], np.int64),
            u=None if data["u"] is None else np.array(decode(data["u"]), np.float64),
            regime=data.get("regime", ""),
            strategy=data.get("strategy", ""),
        )


def _row(value: Any) -> dict[int, float] | list[int]:
    return {int(token): addend for token, addend in value.items()} if isinstance(value, dict) else [int(token) for token in value]
