"""One call of a target: everything it is given, exactly."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from samplerfuzz.cases.steps import Steps
from samplerfuzz.core.floats import decode, encode
from samplerfuzz.core.registry import parameter


@dataclass(frozen=True, kw_only=True)
class Case:
    """Inputs of one call.

    Attributes:
      logits: [B, V] float32.
      parameters: name -> [B] float64 array, or a list of B dicts (a bias) or B lists (token ids). A scalar contract gets equal entries.
      history: B integer arrays, or None.
      prompt_length: [B] how many of the history tokens belong to the prompt.
      seeds: [B] int64, or None; a scalar contract gets the first.
      u: [B] float64 in [0, 1), or None.
      steps: what follows the first step, for a stateful target; None: one step.
      regime: how the logits were made.
      strategy: how the parameters were made.
    """

    logits: np.ndarray
    parameters: dict[str, Any] = field(default_factory=dict)
    history: tuple[np.ndarray, ...] | None = None
    prompt_length: np.ndarray | None = None
    seeds: np.ndarray | None = None
    u: np.ndarray | None = None
    steps: Steps | None = None
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

    def logits_at(self, step: int) -> np.ndarray:
        """Return the logits [B, V] of a step, counted through a second time for what follows a reset."""
        index = 0 if self.steps is None else step % self.steps.count
        return self.logits if self.steps is None or index == 0 else np.asarray(self.steps.logits[index - 1])

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
            steps=None if self.steps is None else self.steps.take(rows),
        )

    def with_(self, **changes: Any) -> Case:
        """Return a copy with some fields replaced."""
        return replace(self, **changes)

    def digest(self) -> str:
        """Return a hash of everything the target is given."""
        arrays = [self.logits, *(self.history or ()), self.prompt_length, self.seeds, self.u]
        arrays += [] if self.steps is None else [self.steps.logits, self.steps.choices, self.steps.u]
        arrays += [value for value in self.parameters.values() if isinstance(value, np.ndarray)]
        rest = repr([(name, None if isinstance(value, np.ndarray) else value) for name, value in self.parameters.items()])
        rest += "" if self.steps is None else self.steps.replay
        parts = [b"" if array is None else repr(array.shape).encode() + array.tobytes() for array in arrays]
        return hashlib.blake2b(b"|".join([*parts, rest.encode()]), digest_size=16).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return exact JSON-ready data."""
        return {
            "logits": encode(self.logits.astype(np.float64)),
            "parameters": encode(self.parameters),
            "history": None if self.history is None else [ids.tolist() for ids in self.history],
            "prompt_length": None if self.prompt_length is None else self.prompt_length.tolist(),
            "seeds": None if self.seeds is None else self.seeds.tolist(),
            "u": None if self.u is None else encode(self.u),
            "steps": None if self.steps is None else self.steps.to_json(),
            "regime": self.regime,
            "strategy": self.strategy,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Case:
        """Invert `to_json`."""
        return cls(
            logits=np.array(decode(data["logits"]), np.float32).reshape(len(data["logits"]), -1),
            parameters={name: _parameter(parameter(name).kind, decode(value)) for name, value in data["parameters"].items()},
            history=None if data["history"] is None else tuple(np.array(ids, np.int64) for ids in data["history"]),
            prompt_length=None if data["prompt_length"] is None else np.array(data["prompt_length"], np.int64),
            seeds=None if data["seeds"] is None else np.array(data["seeds"], np.int64),
            u=None if data["u"] is None else np.array(decode(data["u"]), np.float64),
            steps=None if data.get("steps") is None else Steps.from_json(data["steps"], len(data["logits"]), len(data["logits"][0])),
            regime=data.get("regime", ""),
            strategy=data.get("strategy", ""),
        )


def _parameter(kind: str, rows: list[Any]) -> Any:
    """Return the values of a parameter as a case holds them, from decoded JSON."""
    if kind == "bias":
        return [{int(token): addend for token, addend in row.items()} for row in rows]
    return [[int(token) for token in row] for row in rows] if kind == "ids" else np.array(rows, np.float64)
