"""What a sampler said it would do, and the law of one step that follows from it, by the float64 oracle. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from samplerfuzz.core.dialects.catalog import find_dialect
from samplerfuzz.core.errors import UsageError
from samplerfuzz.core.registry import parameter, technique
from samplerfuzz.oracle import History, believe, precision, readings

OPEN = 1e-6
"""Probability on which rounding, ties or readings may decide before a step is left out of what needs its law exactly."""


@dataclass(frozen=True, kw_only=True)
class Law:
    """One step.

    Attributes:
      logits: [V] what `temperature` divides.
      kept: bool [V], the tokens that some correct implementation keeps.
      must: bool [V], those that every one keeps.
      temperature: T.
      open: the probability of the tokens on which it depends; 1 where the logits themselves do.
    """

    logits: np.ndarray
    kept: np.ndarray
    must: np.ndarray
    temperature: float
    open: float

    @property
    def known(self) -> bool:
        """Whether there is one law."""
        return self.open <= OPEN


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A chain of stages with its parameters.

    Attributes:
      order: stage names, in the order applied.
      parameters: name -> value, those of the stages.
      conventions: "stage.convention" -> value, what the engine settles; what is left open is excused.
      dtype: of the engine's arithmetic; decides how near a boundary a token is excused.
    """

    order: tuple[str, ...]
    parameters: Mapping[str, Any]
    conventions: Mapping[str, str] = field(default_factory=dict)
    dtype: str = "float32"

    @classmethod
    def of(
        cls, parameters: Mapping[str, Any], *, dialect: str = "samplerfuzz", dtype: str = "float32", vocabulary: int | None = None
    ) -> Self:
        """Return what an engine declares with these parameters, in its own order and by its own sentinels.

        Raises:
          UsageError: an unknown dialect, or a technique that remembers more than tokens: its law needs a state that is not seen here.
          ParameterError: a parameter that the engine does not have, or a value that it refuses.

        >>> Declared.of({"top_p": 0.9, "temperature": 0.7, "top_k": 0}, dialect="vllm").order
        ('temperature', 'top_p')
        """
        engine = find_dialect(dialect)
        settled = engine.checked(parameters, vocabulary)
        stages = [item for item in engine.stages(settled) if item.parameters[0].neutral is None or _acts(item.parameters[0].name, settled)]
        if remembering := [item.name for item in stages if item.remembers]:
            raise UsageError(f"{', '.join(remembering)}: remembers its steps, and a monitor does not see what; declare the other stages")
        names = {p.name for item in stages for p in item.parameters}
        return cls(
            order=tuple(item.name for item in stages),
            parameters={name: value for name, value in settled.items() if name in names},
            conventions=engine.conventions,
            dtype=dtype,
        )

    @property
    def reads_history(self) -> bool:
        """Whether a stage needs the tokens so far."""
        return any(technique(stage).reads_history for stage in self.order)

    def law(self, logits: np.ndarray, *, history: Sequence[int] = (), prompt_length: int = 0) -> Law:
        """Return the law of the step after `history` for finite or masked logits [V]."""
        z = np.asarray(logits, np.float64)[None]
        given = {name: _column(name, value, z.shape[1]) for name, value in self.parameters.items()}
        past = History(ids=(np.asarray(history, np.int64),), prompt_length=np.array([prompt_length]))
        beliefs = [
            believe(z, self.order, given, arithmetic=precision(self.dtype), history=past, reading=reading)
            for reading in readings(self.order, given, history=past, declared=self.conventions)
        ]
        must = np.logical_and.reduce([belief.must[0] for belief in beliefs])
        kept = np.logical_or.reduce([belief.possible[0] for belief in beliefs])
        changing = [stage for stage in self.order if not technique(stage).filters]
        if changing in ([], ["temperature"]):
            row, heat = z[0], float(np.ravel(self.parameters.get("temperature", 1.0))[0])
            left = beliefs[0].z[0]
        else:
            row, heat, left = beliefs[0].z[0], 1.0, beliefs[0].z[0]
        same = all(np.array_equal(belief.z[0][kept], left[kept]) for belief in beliefs[1:])
        weight = np.exp(left[kept] - left[kept].max()) if kept.any() else np.ones(1)
        share = float(weight[~must[kept]].sum() / weight.sum()) if kept.any() else 1.0
        return Law(logits=row, kept=kept, must=must, temperature=heat, open=share if same else 1.0)


def _acts(name: str, settled: Mapping[str, Any]) -> bool:
    """Return whether a parameter has another value than the one that changes nothing."""
    kind, value = parameter(name), settled[name]
    return bool(np.any(np.asarray(value) != kind.neutral)) if kind.is_number else bool(value)


def _column(name: str, value: Any, vocabulary: int) -> np.ndarray:
    """Return a parameter as the oracle takes it: [1], or for a bias or a list of ids [1, V]."""
    if parameter(name).is_number:
        return np.asarray(value, np.float64).reshape(1)
    row = np.zeros((1, vocabulary))
    for token in value:
        row[0, int(token)] = value[token] if isinstance(value, Mapping) else 1.0
    return row
