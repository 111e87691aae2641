"""Cases for a target: a regime of logits crossed with a strategy for the parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from samplerfuzz.cases import parameters as values
from samplerfuzz.cases.case import Case
from samplerfuzz.cases.histories import histories
from samplerfuzz.cases.logits import REGIMES, WEIGHTS, rows_of
from samplerfuzz.cases.uniforms import ENDS, steps
from samplerfuzz.core.registry import parameter

STRATEGIES = {"ordinary": 0.4, "beside threshold": 0.25, "edge": 0.2, "neutral": 0.05, "poison": 0.05, "mixed rows": 0.05}
_SWEPT, _REFUSED = 8, 16


class Generator:
    """Makes cases for one contract.

    Args:
      parameters: names the target takes.
      inputs: which of history, prompt, output, seed, u it takes.
      per_row: whether every row has values of its own.
      law: probabilities [V] of the first row of a case under the plainest reading, to place uniforms at its steps; None: not known.
      real_rows: [N, V] logits of a real model, or None.
    """

    def __init__(
        self,
        *,
        parameters: Sequence[str],
        inputs: frozenset[str],
        per_row: bool,
        law: Callable[[Case], np.ndarray | None] = lambda case: None,
        real_rows: np.ndarray | None = None,
    ) -> None:
        self.parameters = tuple(parameters)
        self.inputs = inputs
        self.per_row = per_row
        self.law, self.real_rows = law, real_rows
        names = [*REGIMES, *(["model"] if real_rows is not None else [])]
        weights = np.array([WEIGHTS.get(name, 1.0) for name in names])
        self._regimes, self._regime_weights = names, weights / weights.sum()

    def case(self, rng: np.random.Generator, *, rows: int, size: int, strategy: str | None = None, regime: str | None = None) -> Case:
        """Return one case; `size` is ignored by the regime "model", which has its own vocabulary or a cut of it."""
        strategy = strategy or str(rng.choice(list(STRATEGIES), p=list(STRATEGIES.values())))
        if self.per_row and strategy in ("edge", "poison"):
            # a call that holds one illegal value is refused as a whole
            rows = min(rows, _REFUSED)
        regime = regime or str(rng.choice(self._regimes, p=self._regime_weights))
        logits = self._logits(rng, regime, rows, size)
        if strategy == "mixed rows":
            logits = self._mixed(rng, rows, logits)
            regime = "mixed"
        given = {name: self._values(name, rng, logits, strategy) for name in self.parameters}
        if self.per_row and rng.random() < 0.15:
            # rows that agree in their parameters are not one row
            given = {name: _repeated(value) for name, value in given.items()}
        if strategy == "edge" and self.parameters:
            name = str(rng.choice(self.parameters))
            given[name] = self._spread(values.edge(name, rng, rows, logits))
        if "temperature" in given and rng.random() < (0.3 if self.per_row else 0.1):
            # greedy rows beside random ones: where requests are regrouped, parameters go astray; and greedy rows of nonsense are padding
            given["temperature"] = np.where(rng.random(rows) < (0.3 if self.per_row else 1.0), 0.0, given["temperature"])
        case = Case(logits=logits, parameters=given, regime=regime, strategy=strategy)
        case = case.with_(**self._other_inputs(rng, rows, logits.shape[1], strategy))
        if strategy in ("ordinary", "beside threshold") and "u" in self.inputs and rng.random() < 0.25:
            return self._at_steps(rng, case)
        return self._poisoned(rng, case) if strategy == "poison" else case

    def sweep(self, rng: np.random.Generator) -> Iterator[Case]:
        """Yield a small case for every edge of every parameter, so that even the shortest run has met each."""
        for name in self.parameters:
            for value in values.edges(name, _SWEPT):
                case = self.case(rng, rows=4, size=_SWEPT, strategy="ordinary", regime=str(rng.choice(["normal", "masked", "tied"])))
                same = [value] * case.rows if isinstance(value, dict | list) else np.full(case.rows, value, np.float64)
                yield case.with_(parameters={**case.parameters, name: same}, strategy="edge")

    def _logits(self, rng: np.random.Generator, regime: str, rows: int, size: int) -> np.ndarray:
        if regime != "model" or self.real_rows is None:
            return rows_of(regime, rng, rows, size)
        picked = self.real_rows[rng.integers(0, len(self.real_rows), rows)]
        if size >= picked.shape[1]:
            return picked.copy()
        best = np.argpartition(-picked, size - 1, -1)[:, :size]
        return np.take_along_axis(picked, rng.permuted(best, axis=-1), -1)

    def _mixed(self, rng: np.random.Generator, rows: int, logits: np.ndarray) -> np.ndarray:
        names = rng.choice([n for n in self._regimes if n != "model"], rows)
        mixed = logits.copy()
        for name in np.unique(names):
            mixed[names == name] = rows_of(str(name), rng, int((names == name).sum()), logits.shape[1])
        return mixed

    def _values(self, name: str, rng: np.random.Generator, logits: np.ndarray, strategy: str) -> Any:
        if strategy == "neutral" and (off := parameter(name).switched_off(logits.shape[1])) is not None:
            return np.full(len(logits), off) if parameter(name).is_number else [off] * len(logits)
        make = values.beside_threshold if strategy == "beside threshold" else values.ordinary
        return self._spread(make(name, rng, len(logits), logits))

    def _spread(self, made: Any) -> Any:
        return made if self.per_row else _repeated(made)

    def _other_inputs(self, rng: np.random.Generator, rows: int, size: int, strategy: str) -> dict[str, Any]:
        extra: dict[str, Any] = {}
        if self.inputs & {"history", "prompt", "output"}:
            history = histories(rng, rows, size)
            if strategy == "edge":
                history = [np.append(ids, rng.choice([size, size + 5, -1])) if rng.random() < 0.3 else ids for ids in history]
            extra["history"] = tuple(history)
            extra["prompt_length"] = rng.integers(0, np.array([len(ids) for ids in history]) + 1)
        if "seed" in self.inputs:
            seeds = rng.integers(0, 2**31, rows)
            if rng.random() < 0.2:
                # requests that name the same seed: each is alone with it, as far as it can tell
                seeds = seeds[rng.integers(0, rows, rows)]
            extra["seeds"] = seeds if self.per_row else np.repeat(seeds[:1], rows)
        if "u" in self.inputs:
            u = rng.random(rows)
            extreme = rng.random(rows) < 0.4
            extra["u"] = np.where(extreme, rng.choice(ENDS, rows), u)
        return extra

    def _at_steps(self, rng: np.random.Generator, case: Case) -> Case:
        """Return the first row as often as there are rows, with uniforms at the steps of its distribution function."""
        law = self.law(case)
        if law is None:
            return case
        u = rng.permutation(steps(law))[: max(case.rows, 64)]
        return case.take(np.zeros(len(u), np.int64)).with_(u=u, strategy="uniform steps")

    def _poisoned(self, rng: np.random.Generator, case: Case) -> Case:
        logits = case.logits.copy()
        row = int(rng.integers(0, case.rows))
        kind = rng.choice(["nan", "all nan", "+inf", "all masked"])
        if kind == "nan":
            logits[row, rng.integers(0, case.vocabulary)] = np.nan
        elif kind == "all nan":
            logits[row] = np.nan
        elif kind == "+inf":
            logits[row, rng.integers(0, case.vocabulary)] = np.inf
        else:
            logits[row] = -np.inf
        return case.with_(logits=logits, regime=f"poison: {kind}")


def _repeated(made: Any) -> Any:
    """Return the first row's value for all rows."""
    return made[:1] * len(made) if isinstance(made, list) else np.repeat(made[:1], len(made))
