"""Cases of several steps: what a stateful target is given after its first step, and what each step is in the light of the tokens taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from samplerfuzz.cases.logits import rows_of
from samplerfuzz.core.floats import decode, encode
from samplerfuzz.core.registry import technique
from samplerfuzz.core.seeding import stream

if TYPE_CHECKING:
    from samplerfuzz.cases.case import Case
    from samplerfuzz.cases.generator import Generator

REPLAYS = ("", "reset", "clone")
STEADY = 20
"""How many equal steps show whether draws repeat themselves."""
_REGIMES = ("normal", "two-humped", "dyadic", "negative", "tied", "flat")


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What a case holds beyond its first step.

    Attributes:
      logits: [S, B, V] float32 of the S steps after the first.
      u: [S, B] float64 in [0, 1) of those steps, or None.
      choices: [S + 1, B] float64 in [0, 1). Where a target gives distributions, the token taken is the one whose share of the running
        sum, in id order, holds this number.
      replay: what happens beyond playing the steps once. "reset": the stream is reset and everything played again; "clone": the
        stream is cloned before step `fork`, the clone plays the rest first and then the original does.
    """

    logits: np.ndarray
    choices: np.ndarray
    u: np.ndarray | None = None
    replay: str = ""

    @property
    def count(self) -> int:
        """Number of steps, the first included."""
        return len(self.logits) + 1

    @property
    def fork(self) -> int:
        """The step before which a stream is cloned."""
        return max(1, self.count // 2)

    def take(self, rows: np.ndarray) -> Steps:
        """Return the steps of some rows, in the order given."""
        return replace(self, logits=self.logits[:, rows], choices=self.choices[:, rows], u=None if self.u is None else self.u[:, rows])

    def cut(self, count: int) -> Steps:
        """Return the first `count` steps, at least one."""
        return replace(
            self, logits=self.logits[: count - 1], choices=self.choices[:count], u=None if self.u is None else self.u[: count - 1]
        )

    def without(self, index: int) -> Steps:
        """Return the steps without step `index` + 1 of the case."""
        return replace(
            self,
            logits=np.delete(self.logits, index, 0),
            choices=np.delete(self.choices, index + 1, 0),
            u=None if self.u is None else np.delete(self.u, index, 0),
        )

    def to_json(self) -> dict[str, Any]:
        """Return exact JSON-ready data."""
        return {
            "logits": encode(self.logits.astype(np.float64)),
            "choices": encode(self.choices),
            "u": None if self.u is None else encode(self.u),
            "replay": self.replay,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], rows: int, size: int) -> Steps:
        """Invert `to_json`, for B `rows` and a vocabulary of `size`."""
        count = len(data["logits"])
        return cls(
            logits=np.array(decode(data["logits"]), np.float32).reshape(count, rows, size),
            choices=np.array(decode(data["choices"]), np.float64).reshape(count + 1, rows),
            u=None if data["u"] is None else np.array(decode(data["u"]), np.float64).reshape(count, rows),
            replay=data["replay"],
        )


def step_of(case: Case, index: int, tokens: Sequence[np.ndarray]) -> Case:
    """Return step `index` of `case` as a case of one step: its logits and uniforms, and the `tokens` [B] of the steps before in the history."""
    if case.steps is None or index == 0:
        return case.with_(steps=None)
    before = case.history or (np.zeros(0, np.int64),) * case.rows
    taken = np.stack(tokens[:index], -1) if index else np.zeros((case.rows, 0), np.int64)
    return case.with_(
        logits=case.steps.logits[index - 1],
        u=None if case.steps.u is None else case.steps.u[index - 1],
        history=tuple(np.concatenate([ids, row]) for ids, row in zip(before, taken, strict=True)),
        prompt_length=np.zeros(case.rows, np.int64) if case.prompt_length is None else case.prompt_length,
        steps=None,
    )


def scenario(generator: Generator, rng: np.random.Generator) -> Case:
    """Return a case of some steps on a small vocabulary, where tokens and rows come back."""
    rows, size, count = int(rng.integers(2, 9)), int(rng.choice([2, 3, 3, 4, 5, 8])), int(rng.integers(2, 13))
    regime = str(rng.choice(_REGIMES))
    case = generator.case(
        rng, rows=rows, size=size, strategy=str(rng.choice(["ordinary", "beside threshold"], p=[0.35, 0.65])), regime=regime
    )
    case = case.take(np.arange(min(rows, case.rows)))
    if case.history is not None:
        # nothing was generated before the first step
        case = case.with_(prompt_length=np.array([len(ids) for ids in case.history]))
    rows = case.rows
    later = [case.logits if rng.random() < 0.4 else rows_of(regime, rng, rows, size) for _ in range(count - 1)]
    return case.with_(
        steps=Steps(logits=np.stack(later), choices=rng.random((count, rows)), u=None if case.u is None else rng.random((count - 1, rows)))
    )


def taken_from(probabilities: np.ndarray, choices: np.ndarray) -> np.ndarray:
    """Return the token [B] at each place `choices` [B] of the running sums of `probabilities` [B, V]; -1 where a row has none or NaN."""
    tokens = np.full(len(probabilities), -1, np.int64)
    for row, (p, choice) in enumerate(zip(probabilities, choices, strict=True)):
        total = np.cumsum(p)
        if np.isfinite(total[-1]) and total[-1] > 0:
            tokens[row] = min(int(np.searchsorted(total, choice * total[-1], side="right")), int(np.flatnonzero(p > 0)[-1]))
    return tokens


def steady(case: Case, order: Sequence[str]) -> Case:
    """Return the first row of `case` for STEADY steps with the same logits, and every stage that depends on the tokens so far switched off."""
    count = STEADY
    row = case.take(np.zeros(1, np.int64))
    parameters = dict(row.parameters)
    for stage in order:
        item = technique(stage)
        if item.remembers or item.reads_history:
            first = item.parameters[0]
            parameters[first.name] = np.full(1, first.switched_off(row.vocabulary), np.float64)
    z = np.where(np.isfinite(row.logits), row.logits, np.float32(-50))
    logits = np.repeat(z[None], count - 1, 0)
    u = None if row.u is None else np.zeros((count - 1, 1))
    return row.with_(logits=z, parameters=parameters, steps=Steps(logits=logits, choices=np.zeros((count, 1)), u=u))


def led(case: Case) -> tuple[Case, tuple[int, ...]]:
    """Return the first row of `case`, its steps but the last bent so that a stream probably takes one path of tokens, and that path."""
    assert case.steps is not None
    row = case.take(np.zeros(1, np.int64))
    assert row.steps is not None
    rng = stream(0, "led", row.logits.tobytes(), row.steps.logits.tobytes())
    every = np.concatenate([row.logits[None], row.steps.logits]).astype(np.float64)
    few = rng.integers(0, row.vocabulary, 2)
    path = tuple(int(rng.choice(few)) for _ in range(len(every) - 1))
    for z, token in zip(every, path, strict=False):
        z[0] = np.clip(z[0] - z[0].max(), -4, 0)
        others = np.delete(z[0], token)
        share = rng.choice([0.3, 0.6, 0.9])
        z[0, token] = np.log(share / (1 - share)) + (np.log(np.exp(others).sum()) if len(others) else 0.0)
    every = every.astype(np.float32)
    return row.with_(logits=every[0], steps=replace(row.steps, logits=every[1:])), path
