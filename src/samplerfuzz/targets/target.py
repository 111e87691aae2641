"""What the engine knows of a target: a specification and a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.core.dialects import Dialect, find_dialect
from samplerfuzz.core.registry import technique


@dataclass(frozen=True, kw_only=True)
class TargetSpec:
    """What a target promises.

    Attributes:
      name: shown to people.
      locator: how to name it again on the command line.
      order: stages in the order applied.
      parameters: sampling parameters it takes.
      inputs: which of history, prompt, output, seed, u, state it takes.
      returns: "logits", "probs", "tokens", or None (told from the first answer).
      per_row: parameters (and seeds) are arrays [B].
      negative_temperature: "reject", "greedy" or "invert".
      zero_temperature: "greedy" or "reject".
      dialect: name of the engine that it follows, or "".
      dtype: arithmetic it declares. draws_in: that of the draw itself, or "": the same.
      declared: "stage.convention" -> value, where it or its dialect settles what engines do differently.
      domain: parameter -> (low, high), where refusing is a finding.
      order_was_assumed: the order was taken from the signature.
      stateful: it carries a state from step to step: a class with `step`, or a function of `state`.
      resets, clones: a stream of steps can be reset, cloned.
      version: of the library that it belongs to and of what that computes with, or "".
    """

    name: str
    locator: str
    order: tuple[str, ...]
    parameters: tuple[str, ...]
    inputs: frozenset[str] = frozenset()
    returns: str | None = None
    per_row: bool = False
    negative_temperature: str = "reject"
    zero_temperature: str = "greedy"
    dialect: str = ""
    dtype: str = "float32"
    draws_in: str = ""
    declared: Mapping[str, str] = field(default_factory=dict)
    domain: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    order_was_assumed: bool = False
    stateful: bool = False
    resets: bool = False
    clones: bool = False
    version: str = ""

    @property
    def engine(self) -> Dialect | None:
        """The dialect, or None."""
        return find_dialect(self.dialect) if self.dialect else None

    @property
    def draws(self) -> bool:
        """Whether its tokens are random: not where u is given, nor where nothing says that it is more than an arg-max."""
        return self.returns == "tokens" and "u" not in self.inputs and bool(self.order or "seed" in self.inputs)

    @property
    def tosses(self) -> bool:
        """Whether a stage tosses a coin whose probability is a parameter: a call has more than one fair answer."""
        return any(technique(stage).coin in self.parameters for stage in self.order)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came back from one call.

    Attributes:
      kind: "value", "raised", "malformed", "hang" (no answer in time) or "crash" (what ends the process of its caller).
      form: "logits", "probs" or "tokens" for a value.
      value: [B, V] float64 or [B] int64.
      message: the exception, what is malformed or how the process ended, one line.
      mutated: the call changed its `logits` argument.
      steps: of a case of several steps, what came back from each; the kind is that of the first that is no value. First come the steps themselves, then those
        of the replay.
      tokens: the tokens [B] taken after each of `steps`; -1 where nothing could be taken, which ends them.
    """

    kind: str
    form: str = ""
    value: Any = None
    message: str = ""
    mutated: bool = False
    steps: tuple[Outcome, ...] = ()
    tokens: tuple[np.ndarray, ...] = ()

    def distributions(self) -> np.ndarray:
        """Return [B, V] float64 probabilities; a row of NaN where the row is poisoned, zeros where it is empty."""
        value = np.asarray(self.value, np.float64)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            if self.form == "probs":
                poisoned = ~np.isfinite(value).all(-1) | (value < 0).any(-1)
                return np.where(np.asarray(poisoned)[:, None], np.nan, value)
            poisoned = np.isnan(value).any(-1) | np.isposinf(value).any(-1)
            top = value.max(-1, keepdims=True)
            weight = np.exp(value - np.where(np.isfinite(top), top, 0))
            total = weight.sum(-1, keepdims=True)
            return np.where(np.asarray(poisoned)[:, None], np.nan, np.where(total > 0, weight / np.where(total > 0, total, 1), 0.0))


class Target(Protocol):
    """Anything that can be fuzzed."""

    @property
    def spec(self) -> TargetSpec:
        """What it promises."""
        ...

    def run(self, case: Case) -> Outcome:
        """Call the target once. Never raises for what the target does.

        Raises:
          UsageError: the target cannot be started any more.
        """
        ...


def renew(target: Target) -> None:
    """Let native code that a call may have damaged begin again: the next call finds a new process. A target without such code stays as it is."""
    again = getattr(target, "renew", None)
    if again is not None:
        again()
