"""Which behaviour has been met: cells of parameter × regime × answer, what each strategy yields, and where the time goes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from samplerfuzz.cases.generator import STRATEGIES
from samplerfuzz.cases.logits import REGIMES
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.core.registry import Parameter, parameter

REGIME_NAMES = (*REGIMES, "model", "mixed", "poison: nan", "poison: all nan", "poison: +inf", "poison: all masked", "other")
VALUES = ("NaN", "±inf", "below 0", "0", "below the common range", "neutral", "lower half", "upper half", "above the common range")
ANSWERS = ("no token", "one token", "few tokens", "many tokens", "every token", "best", "worst", "another", "refused", "NaN", "failure")
_NONE, _ONE, _FEW, _MANY, _EVERY, _BEST, _WORST, _OTHER, _REFUSED, _POISON, _FAILURE = range(len(ANSWERS))
_LOOKED_AT = 64  # rows of a case: the others differ from them in nothing that is looked at here
_FLOOR, _CEILING, _MEMORY = 0.4, 2.5, 400


class Novelty:
    """What a campaign has met.

    A cell is a class of values of one parameter, a regime of logits and a class of answers. Strategies whose cases lead to new cells are
    chosen more often, but never more than 2.5 times, and never less than 0.4 times, as often as they would be: a strategy that shows
    nothing new may still be the one that shows the bug.

    Args:
      parameters: of the target.
      cells: those that earlier processes have met.
    """

    def __init__(self, parameters: Iterable[str], cells: Iterable[int] = ()) -> None:
        self.parameters = tuple(parameters) or ("",)
        self.cells: set[int] = set(cells)
        self.last_new = 0.0
        self._fresh: list[int] = []
        self._cases: Counter[str] = Counter()
        self._new: Counter[str] = Counter()
        self._recent: dict[str, list[float]] = {name: [1.0, 1.0] for name in STRATEGIES}

    def strategy(self, rng: np.random.Generator) -> str:
        """Return the strategy of the next case."""
        names, base = list(STRATEGIES), np.array(list(STRATEGIES.values()))
        cases, new = np.array([self._recent[name] for name in names]).T
        usual = max(new.sum() / cases.sum(), 1e-9)
        weights = base * np.clip(new / cases / usual, _FLOOR, _CEILING)
        return str(rng.choice(names, p=weights / weights.sum()))

    def saw(self, judgement: Judgement, elapsed: float) -> list[int]:
        """Learn from one judged call, `elapsed` seconds into the campaign, and return the rows that met something new."""
        strategy = judgement.case.strategy
        seen = self._cells_of(judgement)
        met = seen.keys() - self.cells
        self._cases[strategy] += 1
        self._new[strategy] += len(met)
        if strategy in self._recent:
            recent = self._recent[strategy]
            recent[0] += 1
            recent[1] += bool(met)
            if recent[0] > _MEMORY:
                recent[:] = [recent[0] / 2, recent[1] / 2]
        if met:
            self.cells |= met
            self._fresh += sorted(met)
            self.last_new = elapsed
        return sorted({seen[cell] for cell in met})

    def fresh(self) -> list[int]:
        """Return the cells met since the last call of this function."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def yields(self) -> dict[str, dict[str, int]]:
        """Return strategy -> cases and new cells."""
        return {name: {"cases": n, "new": self._new[name]} for name, n in self._cases.most_common()}

    def matrix(self) -> dict[str, dict[str, int]]:
        """Return parameter -> regime -> number of different (value, answer) classes met."""
        table: dict[str, Counter[str]] = {name: Counter() for name in self.parameters if name}
        for cell in sorted(self.cells):
            rest, _ = divmod(cell, len(ANSWERS))
            rest, regime = divmod(rest, len(REGIME_NAMES))
            name = self.parameters[rest // len(VALUES)]
            if name:
                table[name][REGIME_NAMES[regime]] += 1
        return {name: dict(row) for name, row in table.items()}

    def _cells_of(self, judgement: Judgement) -> dict[int, int]:
        """Return cell -> the first row that is in it."""
        case = judgement.case
        rows = min(case.rows, _LOOKED_AT)
        regime = REGIME_NAMES.index(case.regime) if case.regime in REGIME_NAMES else len(REGIME_NAMES) - 1
        answers = _answers(judgement, rows)
        cells: dict[int, int] = {}
        for number, name in enumerate(self.parameters):
            values = _values(name, case.parameters, rows)
            codes = ((number * len(VALUES) + values) * len(REGIME_NAMES) + regime) * len(ANSWERS) + answers
            found, first = np.unique(codes, return_index=True)
            cells.update(zip(found.tolist(), first.tolist(), strict=True))
        return cells


def _answers(judgement: Judgement, rows: int) -> np.ndarray:
    """Return the class of each row's answer, int [rows]."""
    outcome, z = judgement.outcome, judgement.case.logits[:rows]
    if outcome.kind != "value":
        return np.full(rows, _REFUSED if outcome.kind == "raised" else _FAILURE)
    if outcome.form == "tokens":
        tokens = outcome.value[:rows]
        inside = (tokens >= 0) & (tokens < z.shape[1])
        at = np.take_along_axis(z, np.where(inside, tokens, 0)[:, None], 1)[:, 0]
        classes = np.where(at >= z.max(-1), _BEST, np.where(at <= z.min(-1), _WORST, _OTHER))
        return np.where(inside, classes, _NONE)
    kept = (judgement.distributions[:rows] > 0).sum(-1)
    allowed = (z > -np.inf).sum(-1)
    sizes = np.select([kept == 0, kept == 1, kept >= allowed, 4 * kept <= allowed], [_NONE, _ONE, _EVERY, _FEW], _MANY)
    return np.where(judgement.poisoned[:rows], _POISON, sizes)


def _values(name: str, parameters: Mapping[str, object], rows: int) -> np.ndarray:
    """Return the class of each row's value, int [rows]; a list of ids or a bias counts by whether it is empty."""
    if not name:
        return np.zeros(rows, int)
    given = parameters[name]
    item = parameter(name)
    if not item.is_number:
        return np.array([VALUES.index("lower half" if len(v) else "neutral") for v in list(given)[:rows]])  # type: ignore[call-overload]
    return _classes(item, np.asarray(given, np.float64)[:rows])


def _classes(item: Parameter, v: np.ndarray) -> np.ndarray:
    low, high = item.common
    middle = (low + high) / 2 if np.isfinite(high) else low + 4
    neutral = v == item.neutral if item.neutral is not None else np.zeros(v.shape, bool)
    with np.errstate(invalid="ignore"):
        conditions = [np.isnan(v), np.isinf(v), neutral, v == 0, (v < 0) & (low >= 0), v < low, v > high, v <= middle]
    names = ["NaN", "±inf", "neutral", "0", "below 0", "below the common range", "above the common range", "lower half"]
    return np.select(conditions, [VALUES.index(n) for n in names], VALUES.index("upper half"))
