"""One answered call, seen through the oracle: which rows can be judged, and what each did."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.cases.parameters import parameter
from samplerfuzz.core.registry import technique
from samplerfuzz.oracle import Belief, Verdicts, believe, judge_distributions, judge_tokens, precision, readings
from samplerfuzz.targets.target import Outcome, TargetSpec


class Judgement:
    """What the oracle makes of one call.

    Rows are sorted by what they contain: *clean* rows have a definite answer, *nonsense* rows none (NaN, +inf, everything
    masked), the rest (a negative penalty, say) has no agreed meaning and is left alone.
    """

    def __init__(self, spec: TargetSpec, case: Case, outcome: Outcome) -> None:
        self.spec, self.case, self.outcome = spec, case, outcome

    @cached_property
    def nonsense(self) -> np.ndarray:
        """[B] bool: no clean answer exists."""
        z = self.case.logits
        bad = np.isnan(z).any(-1) | np.isposinf(z).any(-1) | np.isneginf(z).all(-1)
        for values in self._numbers().values():
            bad |= np.isnan(values)
        return bad

    @cached_property
    def clean(self) -> np.ndarray:
        """[B] bool: the oracle has an answer."""
        unclear = np.zeros(self.case.rows, bool)
        numbers = self._numbers()
        with np.errstate(invalid="ignore"):
            for name, values in numbers.items():
                if name == "repetition_penalty":
                    unclear |= ~((values > 0) & np.isfinite(values))
                elif name in ("xtc_threshold", "xtc_probability"):
                    unclear |= ~((values >= 0) & (values <= 1))
                elif name != "temperature":
                    unclear |= np.isinf(values)
                if name == "penalty_last_n":
                    unclear |= values < -1
        return ~self.nonsense & ~unclear

    @cached_property
    def legal(self) -> np.ndarray:
        """[B] bool: every parameter in its common domain on finite logits: refusing is a finding."""
        z = self.case.logits
        with np.errstate(invalid="ignore"):
            good = np.isfinite(z).all(-1) & (np.abs(z) <= 1e4).all(-1)
            for name, values in self._numbers().items():
                low, high = parameter(name).common
                if parameter(name).kind == "integer" and np.isinf(high):
                    high = self.case.vocabulary
                narrow = self.spec.domain.get(name, (low, high))
                good &= (values >= max(low, narrow[0])) & (values <= min(high, narrow[1]))
        for row, bias in enumerate(self.case.parameters.get("logit_bias", [])):
            good[row] &= all(0 <= i < self.case.vocabulary and abs(b) <= 100 for i, b in bias.items())
        for row, ids in enumerate(self.case.history or ()):
            good[row] &= bool(((ids >= 0) & (ids < self.case.vocabulary)).all())
        return good

    @cached_property
    def poison_allowed(self) -> np.ndarray:
        """[B] bool: NaN out is fair."""
        allowed = ~self.clean
        t = self._numbers().get("temperature")
        if t is not None:
            allowed |= ~np.isfinite(t) | (np.abs(t) < 1.2e-38) & (t != 0)
            if self.spec.negative_temperature == "reject":
                allowed |= t < 0
            if self.spec.zero_temperature == "reject":
                allowed |= t == 0
        return allowed

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
            return self.clean & (self.outcome.value >= 0) & (self.outcome.value < self.case.vocabulary)
        return self.clean & ~self.poisoned

    @cached_property
    def verdicts(self) -> tuple[np.ndarray, Belief, Verdicts] | None:
        """Row numbers [R], their belief and verdicts under the reading that explains most; rows that pass any reading are left out."""
        rows = np.flatnonzero(self.judged)
        if not len(rows) or self.outcome.form == "tokens":
            return None
        chosen: tuple[np.ndarray, Belief, Verdicts] | None = None
        pending = rows
        for belief in self._beliefs(rows):
            inside = np.isin(rows, pending)
            part = _rows_of(belief, inside)
            verdict = judge_distributions(part, self.distributions[pending], values=self.outcome.form)
            wrong = verdict.wrong
            if chosen is None:
                self.vacuous = int(verdict.vacuous.sum())
                chosen = (pending[wrong], _rows_of(part, wrong), _verdict_rows(verdict, wrong))
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

    def belief_of(self, row: int) -> list[Belief]:
        """Return the beliefs of one clean row, one a reading."""
        return list(self._beliefs(np.array([row])))

    def _beliefs(self, rows: np.ndarray) -> Iterator[Belief]:
        case = self.case.take(rows)
        numbers: dict[str, np.ndarray] = {name: np.asarray(v, np.float64) for name, v in case.parameters.items() if name != "logit_bias"}
        if "logit_bias" in case.parameters:
            dense = np.zeros(case.logits.shape)
            for row, bias in enumerate(case.parameters["logit_bias"]):
                for i, b in bias.items():
                    if 0 <= i < case.vocabulary:
                        dense[row, i] = b
            numbers["logit_bias"] = dense
        arithmetic = precision(self.spec.dtype)
        for counts in self._counts(case):
            for reading in readings(
                self.spec.order, numbers, negative_temperature=self.spec.negative_temperature, joint_mass=self.spec.joint_mass
            ):
                yield believe(case.logits, self.spec.order, numbers, arithmetic=arithmetic, counts=counts, reading=reading)

    def _counts(self, case: Case) -> Iterator[dict[str, np.ndarray]]:
        """Yield occurrences per penalty; a target told prompt from output may leave the prompt out of presence and frequency."""
        stages = [stage for stage in self.spec.order if technique(stage).reads_history]
        everything = {stage: case.counts(stage) for stage in stages}
        yield everything
        if "prompt" in self.spec.inputs and case.history is not None and case.prompt_length is not None:
            output = case.with_(history=tuple(ids[n:] for ids, n in zip(case.history, case.prompt_length, strict=True)))
            yield {stage: everything[stage] if stage == "repetition_penalty" else output.counts(stage) for stage in stages}

    def _numbers(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(v, np.float64) for name, v in self.case.parameters.items() if name != "logit_bias"}


def _rows_of(belief: Belief, rows: np.ndarray) -> Belief:
    names = ("z", "error", "must", "may", "least", "greedy")
    return belief.replaced(**{name: getattr(belief, name)[rows] for name in names})


def _verdict_rows(verdict: Verdicts, rows: np.ndarray) -> Verdicts:
    return Verdicts(**{name: getattr(verdict, name)[rows] for name in Verdicts.__dataclass_fields__})
