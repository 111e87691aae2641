"""One answered call, seen through the oracle: which rows can be judged, and what each did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.cases.ids import dense, outside
from samplerfuzz.core.registry import parameter, parameter_owners, technique
from samplerfuzz.oracle import (
    Belief,
    History,
    Memories,
    Reading,
    Verdicts,
    believe,
    judge_distributions,
    judge_tokens,
    precision,
    readings,
    remember,
)
from samplerfuzz.targets.target import Outcome, TargetSpec

_SMALLEST = 1.2e-38  # a little above the smallest normal number of single precision


class Judgement:
    """What the oracle makes of one call.

    Rows are sorted by what they contain: *clean* rows have a definite answer, *nonsense* rows none (NaN, +inf, everything
    masked), the rest (a negative penalty, say) has no agreed meaning and is left alone.
    """

    def __init__(
        self,
        spec: TargetSpec,
        case: Case,
        outcome: Outcome,
        *,
        past: Sequence[tuple[Case, np.ndarray]] = (),
        memories: dict[Any, Memories] | None = None,
    ) -> None:
        self.spec, self.case, self.outcome = spec, case, outcome
        # the steps before this call, and the tokens [B] taken after each
        self.past = past
        # shared by the judgements of one run of steps: each step is remembered once
        self._memories = {} if memories is None else memories
        self._last: tuple[np.ndarray, tuple[Case, dict[str, np.ndarray], History]] | None = None

    @cached_property
    def nonsense(self) -> np.ndarray:
        """[B] bool: no clean answer exists."""
        z = self.case.logits
        bad = ((np.isnan(z) | np.isposinf(z)) & self.left).any(-1) | np.isneginf(z).all(-1)
        for name, values in self._numbers().items():
            bad |= np.isnan(values) & ~self._idle(name)
        return bad

    def _idle(self, name: str) -> np.ndarray:
        """Return [B] bool: the parameter has nothing to act on, since all that it touches are tokens seen and none was."""
        if self.case.history is None or not all(item.reads_history for item in parameter_owners()[name]):
            return np.zeros(self.case.rows, bool)
        return np.array([len(ids) == 0 for ids in self.case.history])

    @cached_property
    def left(self) -> np.ndarray:
        """[B, V] bool: what the lists of ids leave; a NaN among the others is none that counts."""
        lists = {name: dense(v, self.case.vocabulary) for name, v in self._collections().items() if parameter(name).kind == "ids"}
        order = [stage for stage in self.spec.order if technique(stage).parameters[0].name in lists]
        if not order:
            return np.ones(self.case.logits.shape, bool)
        return believe(np.zeros(self.case.logits.shape), order, lists, arithmetic=precision(self.spec.dtype)).possible

    @cached_property
    def clean(self) -> np.ndarray:
        """[B] bool: the oracle has an answer."""
        z = self.case.logits
        unclear = np.isnan(z).any(-1) | np.isposinf(z).any(-1) | ~(self.left & (z > -np.inf)).any(-1)
        # what the declared dtype cannot hold is no input to it
        unclear |= (np.isfinite(z) & (np.abs(z) > precision(self.spec.dtype).largest)).any(-1)
        with np.errstate(invalid="ignore"):
            for name, values in self._numbers().items():
                low, high = parameter(name).meaning
                unclear |= ~((values >= low) & (values <= high))
                if parameter(name).neutral == 0:
                    # beside nothing: single precision, in which engines keep parameters, takes it for "off"
                    unclear |= (values != 0) & (np.abs(values) < np.finfo(np.float32).tiny)
        return ~self.nonsense & ~unclear & ~self.foreign

    @cached_property
    def foreign(self) -> np.ndarray:
        """[B] bool: the engine whose dialect is declared does not take a value, or looks at a part of the row only."""
        refused = np.zeros(self.case.rows, bool)
        engine = self.spec.engine
        if engine is None:
            return refused
        numbers = self._numbers()
        for wrong in engine.refused(numbers, self.case.vocabulary).values():
            refused |= wrong
        for name, used in engine.settled(numbers, self.case.vocabulary).items():
            # an ordinary value that the engine's front replaces by another one: its sampler alone does not
            low, high = parameter(name).common
            with np.errstate(invalid="ignore"):
                refused |= (numbers[name] >= low) & (numbers[name] <= high) & (used != numbers[name]) & (used != parameter(name).neutral)
        return refused | (0 < engine.prefilter < self.case.vocabulary)

    @cached_property
    def legal(self) -> np.ndarray:
        """[B] bool: every parameter in its common domain on finite logits: refusing is a finding."""
        z = self.case.logits
        with np.errstate(invalid="ignore"):
            good = np.isfinite(z).all(-1) & (np.abs(z) <= 1e4).all(-1) & ~self.foreign
            for name, values in self._numbers().items():
                low, high = parameter(name).common
                if parameter(name).kind == "integer" and np.isinf(high):
                    high = self.case.vocabulary
                narrow = self.spec.domain.get(name, (low, high))
                good &= (values >= max(low, narrow[0])) & (values <= min(high, narrow[1]))
        for name, rows in self._collections().items():
            good &= ~outside(rows, self.case.vocabulary)
            if parameter(name).kind == "bias":
                low, high = parameter(name).common
                good &= np.array([all(low <= addend <= high for addend in row.values()) for row in rows])
        good &= (self.left & (z > -np.inf)).any(-1)
        return good & ~outside(self.case.history, self.case.vocabulary) if self.case.history is not None else good

    @cached_property
    def poison_allowed(self) -> np.ndarray:
        """[B] bool: NaN out is fair."""
        allowed = ~self.clean | self._undivided
        t = self._numbers().get("temperature")
        if t is not None:
            if self.spec.negative_temperature == "reject":
                allowed |= t < 0
            if self.spec.zero_temperature == "reject":
                allowed |= t == 0
        return allowed

    @cached_property
    def _undivided(self) -> np.ndarray:
        """[B] bool: single precision divides by no such temperature: it or its reciprocal is infinite, or so small that it may be taken for zero."""
        t = self._numbers().get("temperature")
        if t is None:
            return np.zeros(self.case.rows, bool)
        return ~np.isfinite(t) | (t != 0) & ((np.abs(t) < _SMALLEST) | (np.abs(t) > 1 / _SMALLEST))

    @cached_property
    def distributions(self) -> np.ndarray:
        """[B, V] probabilities of a logits or probs answer."""
        return self.outcome.distributions()

    @cached_property
    def poisoned(self) -> np.ndarray:
        """[B] bool: the answer's row is NaN."""
        return np.isnan(self.distributions).any(-1)

    @cached_property
    def judged(self) -> np.ndarray:
        """[B] bool: rows with a verdict of the oracle."""
        if self.outcome.kind != "value":
            return np.zeros(self.case.rows, bool)
        if self.outcome.form == "tokens":
            # where NaN out is fair, a token drawn from it is any
            inside = (self.outcome.value >= 0) & (self.outcome.value < self.case.vocabulary)
            return self.clean & ~self._undivided & inside
        return self.clean & ~self.poisoned

    @cached_property
    def verdicts(self) -> tuple[np.ndarray, Belief, Verdicts] | None:
        """Row numbers [R], their belief and verdicts under the reading that explains most; rows that pass any reading are left out."""
        rows = np.flatnonzero(self.judged)
        if not len(rows) or self.outcome.form == "tokens":
            return None
        chosen: tuple[np.ndarray, Belief, Verdicts] | None = None
        pending = rows
        for reading in self._readings(rows):
            belief = self._believed(pending, reading)
            verdict = judge_distributions(belief, self.distributions[pending], values=self.outcome.form)
            wrong = verdict.wrong
            if chosen is None:
                self.vacuous = int(verdict.vacuous.sum())
                chosen = (pending[wrong], _rows_of(belief, wrong), _verdict_rows(verdict, wrong))
            else:
                still = np.isin(chosen[0], pending[wrong])
                chosen = (chosen[0][still], _rows_of(chosen[1], still), _verdict_rows(chosen[2], still))
            pending = pending[wrong]
            if not len(pending):
                return None
        return chosen

    @cached_property
    def wrong_tokens(self) -> tuple[np.ndarray, Belief] | None:
        """Row numbers whose token no reading allows, with the belief of the plainest reading."""
        rows = np.flatnonzero(self.judged)
        if not len(rows) or self.outcome.form != "tokens":
            return None
        first: Belief | None = None
        wrong = np.ones(len(rows), bool)
        for belief in self._beliefs(rows):
            first = first or belief
            wrong &= judge_tokens(belief, self.outcome.value[rows])
            if not wrong.any():
                return None
        assert first is not None
        return rows[wrong], _rows_of(first, wrong)

    vacuous = 0

    def beliefs_of(self, rows: np.ndarray) -> list[Belief]:
        """Return the beliefs of clean rows [R], one a reading."""
        return list(self._beliefs(rows))

    def belief_of(self, row: int) -> list[Belief]:
        """Return the beliefs of one clean row, one a reading."""
        return self.beliefs_of(np.array([row]))

    def laws_of(self, row: int) -> list[list[tuple[float, Belief]]]:
        """Return the fair laws of a draw from one clean row: each a mixture of (chance, belief) over the coins of the chain."""
        laws: dict[tuple[tuple[object, str], ...], list[tuple[float, Belief]]] = {}
        for reading, belief in self._read(np.array([row])):
            chance = float(np.broadcast_to(reading.chance, 1)[0])
            laws.setdefault(tuple(sorted(reading.settled.items())), []).append((chance, belief))
        return list(laws.values())

    def _beliefs(self, rows: np.ndarray) -> Iterator[Belief]:
        return (belief for _, belief in self._read(rows))

    def _read(self, rows: np.ndarray) -> Iterator[tuple[Reading, Belief]]:
        return ((reading, self._believed(rows, reading)) for reading in self._readings(rows))

    def _readings(self, rows: np.ndarray) -> Iterator[Reading]:
        _, numbers, history = self._given(rows)
        return readings(self.spec.order, numbers, history=history, declared=self.spec.declared)

    def _believed(self, rows: np.ndarray, reading: Reading) -> Belief:
        case, numbers, history = self._given(rows)
        arithmetic, memory = precision(self.spec.dtype), self._memory(rows, numbers, reading)
        return believe(case.logits, self.spec.order, numbers, arithmetic=arithmetic, history=history, reading=reading, memory=memory)

    def _given(self, rows: np.ndarray) -> tuple[Case, dict[str, np.ndarray], History]:
        """Return the case of some rows, its parameters as the engine takes them, and the tokens so far."""
        if self._last is None or not np.array_equal(self._last[0], rows):
            case = self.case.take(rows)
            numbers = {
                name: np.asarray(v, np.float64) if parameter(name).is_number else dense(v, case.vocabulary)
                for name, v in case.parameters.items()
            }
            if self.spec.engine is not None:
                numbers = self.spec.engine.settled(numbers, case.vocabulary)
            self._last = rows, (case, numbers, _history(case, self.spec, begun=bool(self.past)))
        return self._last[1]

    def _memory(self, rows: np.ndarray, numbers: dict[str, np.ndarray], reading: Reading) -> Memories:
        """Return what the stages remember of the steps before."""
        memory: Memories = {}
        order, arithmetic = self.spec.order, precision(self.spec.dtype)
        if not any(technique(stage).remembers for stage in order):
            return memory
        told = (rows.tobytes(), tuple(sorted(reading.settled.items())), tuple(sorted(reading.coins.items())))
        for index, (case, tokens) in enumerate(self.past):
            if (index, *told) not in self._memories:
                before = case.take(rows)
                seen = _history(before, self.spec, begun=index > 0)
                self._memories[index, *told] = remember(
                    before.logits, order, numbers, tokens[rows], arithmetic=arithmetic, history=seen, reading=reading, memory=memory
                )
            memory = self._memories[index, *told]
        return memory

    def _numbers(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(v, np.float64) for name, v in self.case.parameters.items() if parameter(name).is_number}

    def _collections(self) -> dict[str, Any]:
        return {name: v for name, v in self.case.parameters.items() if not parameter(name).is_number}


def _history(case: Case, spec: TargetSpec, *, begun: bool) -> History:
    """Return the tokens so far as the target knows them; the prompt is known to be one where the target is told.

    begun: whether steps were taken before, whose tokens a stateful target knows without being given them.
    """
    if case.history is None:
        return History.none(case.rows)
    lengths = np.zeros(case.rows, np.int64) if case.prompt_length is None else case.prompt_length
    if "prompt" in spec.inputs:
        only_prompt = not begun and not spec.inputs & {"output", "history"}
        ids = tuple(row[:n] for row, n in zip(case.history, lengths, strict=True)) if only_prompt else case.history
        return History(ids=ids, prompt_length=lengths)
    only_output = "output" in spec.inputs and "history" not in spec.inputs
    ids = tuple(row[n:] for row, n in zip(case.history, lengths, strict=True)) if only_output else case.history
    return History(ids=ids, prompt_length=np.zeros(case.rows, np.int64))


def _rows_of(belief: Belief, rows: np.ndarray) -> Belief:
    names = ("z", "error", "given", "must", "may", "least", "most", "greedy")
    return belief.replaced(**{name: getattr(belief, name)[rows] for name in names})


def _verdict_rows(verdict: Verdicts, rows: np.ndarray) -> Verdicts:
    return Verdicts(**{name: getattr(verdict, name)[rows] for name in Verdicts.__dataclass_fields__})
