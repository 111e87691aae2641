"""A monitor for any decoding loop: call it with the logits of a step and the token that was emitted.

monitor = TokenMonitor(Declared.of({"temperature": 0.8, "top_p": 0.9}))
...
monitor(logits, token)
if monitor.alarms: ...
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from samplerfuzz.core.errors import ParameterError, UsageError
from samplerfuzz.safety.declared import Declared
from samplerfuzz.safety.moments import Moments
from samplerfuzz.safety.monitors.anomalous import AnomalousTokenMonitor
from samplerfuzz.safety.monitors.support import SupportMonitor
from samplerfuzz.safety.monitors.surprisal import SurprisalMonitor
from samplerfuzz.safety.monitors.temperature import TemperatureMonitor
from samplerfuzz.safety.step import FIELDS, NUMBERS, index, statistics_of, told

FORMAT = "samplerfuzz token monitor 1"
_POISON = ("nan", "inf", "all_masked")


class TokenMonitor:
    """All monitors of one sampler, and the moments of its steps.

    The tests share `alpha`: half for the surprisals, half for the anomalous tokens where a registry is given. Tokens outside the kept set cost nothing. The interval of the
    temperature is an estimate beside them, with confidence 1 − alpha of its own.

    Args:
      declared: what the sampler is asked for; a call may name another.
      registry: ids of tokens that the model cannot say (`AnomalousTokens.tokens` of a census); None: not watched.
      baseline: the rate of such tokens that is usual.
      alpha: bound on the probability of any false alarm, however long it watches.

    Example:
      >>> monitor = TokenMonitor(Declared.of({"temperature": 1.0, "top_k": 2}))
      >>> step = monitor(np.array([3.0, 2.0, 1.0]), 2)
      >>> monitor.alarms, step["rank"], step["kept"]
      (('kept set',), 2, 2)
    """

    def __init__(
        self, declared: Declared | None = None, *, registry: Iterable[int] | None = None, baseline: float = 1e-3, alpha: float = 1e-4
    ) -> None:
        self.declared, self.alpha = declared, alpha
        share = alpha if registry is None else alpha / 2
        self.surprisal, self.temperature, self.support = SurprisalMonitor(alpha=share), TemperatureMonitor(alpha=alpha), SupportMonitor()
        self.anomalous = None if registry is None else AnomalousTokenMonitor(registry, baseline=baseline, alpha=share)
        self.moments = dict.fromkeys(NUMBERS, Moments())
        self.steps = self.poisoned = self.open = 0

    def __call__(
        self, logits: ArrayLike, token: int, *, declared: Declared | None = None, history: Sequence[int] = (), prompt_length: int = 0
    ) -> dict[str, Any]:
        """Take one step.

        Args:
          logits: [V], as the declared chain gets them; −inf is masked.
          token: the id emitted; negative: none was.
          declared: what this step was asked for, where it is not what the monitor was made with.
          history: the tokens so far, for stages that read them; of which `prompt_length` are the prompt's.

        Returns:
          The numbers of the step by name; None for what is undefined.

        Raises:
          UsageError: nothing says what was declared.
          ParameterError: no row, or a token outside the vocabulary.
        """
        chain = declared or self.declared
        if chain is None:
            raise UsageError("nothing declared: name what the sampler is asked for, as in TokenMonitor(Declared.of({'temperature': 0.8}))")
        row = np.asarray(logits, np.float64)
        if row.ndim != 1 or not row.size or token >= len(row):
            raise ParameterError(f"logits of shape {row.shape} and token {token}: expected one row [V] and an id below V")
        id_ = np.array([int(token)])
        if np.isnan(row).any() or (row == np.inf).any() or not (row > -np.inf).any():
            vector = statistics_of(row[None], np.ones((1, len(row)), bool), id_, 1.0)
            self._add(vector, id_)
            return told(vector[0])
        law = chain.law(row, history=history, prompt_length=prompt_length)
        vector = statistics_of(law.logits[None], law.kept[None], id_, law.temperature)
        if token >= 0:
            self.support.update(outside=not law.kept[token], excused=law.kept[token] and not law.must[token])
        if not law.known:
            # chosen by the row alone, before the token is looked at, so what is left is a fair game still
            self.open += 1
            vector[:, len(NUMBERS) :] = np.nan
        self._add(vector, id_)
        return told(vector[0])

    def take(self, vectors: ArrayLike, tokens: ArrayLike) -> None:
        """Take steps that were measured elsewhere, on the device for instance.

        Args:
          vectors: [T, F] in the order of `step.FIELDS`; a token of infinite surprisal is outside the set that they were measured on.
          tokens: the ids [T].
        """
        values = np.asarray(vectors, np.float64).reshape(-1, len(FIELDS))
        surprisal = values[:, index("surprisal")]
        self.support.update(outside=np.isposinf(surprisal[~np.isnan(surprisal)]))
        self._add(values, np.asarray(tokens, np.int64).ravel())

    def _add(self, values: np.ndarray, tokens: np.ndarray) -> None:
        self.steps += len(values)
        self.poisoned += int((values[:, [index(name) for name in _POISON]] > 0).any(-1).sum())
        self.surprisal.update(values)
        self.temperature.update(values)
        if self.anomalous is not None:
            self.anomalous.update(tokens)
        for name in NUMBERS:
            self.moments[name] = self.moments[name].merge(Moments.of(values[:, index(name)]))

    @property
    def alarms(self) -> tuple[str, ...]:
        """Names of the tests that have raised an alarm."""
        return tuple(item["monitor"] for item in self._tests() if item["alarm"])

    def _tests(self) -> list[dict[str, Any]]:
        found = [self.surprisal.describe(), self.support.describe()]
        return found if self.anomalous is None else [*found, self.anomalous.describe()]

    def merge(self, other: TokenMonitor) -> None:
        """Add what another monitor saw, of another shard or stream.

        Raises:
          ParameterError: it was made with another alpha, registry or baseline.
        """
        if (self.anomalous is None) != (other.anomalous is None):
            raise ParameterError("one monitor has a registry and the other none; they cannot be merged, make them alike")
        self.surprisal.merge(other.surprisal)
        self.temperature.merge(other.temperature)
        self.support.merge(other.support)
        if self.anomalous is not None and other.anomalous is not None:
            self.anomalous.merge(other.anomalous)
        self.moments = {name: self.moments[name].merge(other.moments[name]) for name in NUMBERS}
        self.steps, self.poisoned, self.open = self.steps + other.steps, self.poisoned + other.poisoned, self.open + other.open

    def describe(self) -> dict[str, Any]:
        """Return what a report says, as JSON data."""
        return {
            "steps": self.steps,
            "poisoned": self.poisoned,
            "open": self.open,
            "alpha": self.alpha,
            "alarms": list(self.alarms),
            "tests": self._tests(),
            "temperature": self.temperature.describe(),
            "statistics": {name: _summary(moments) for name, moments in self.moments.items() if name not in _POISON},
        }

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON data; what was declared is not part of it."""
        return {
            "format": FORMAT,
            "alpha": self.alpha,
            **{name: getattr(self, name) for name in ("steps", "poisoned", "open")},
            "surprisal": self.surprisal.to_json(),
            "temperature": self.temperature.to_json(),
            "support": self.support.to_json(),
            "anomalous": None if self.anomalous is None else self.anomalous.to_json(),
            "moments": {name: moments.to_json() for name, moments in self.moments.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, declared: Declared | None = None) -> Self:
        """Invert `to_json`.

        Raises:
          UsageError: it is no such state.
        """
        if data.get("format") != FORMAT:
            raise UsageError(f"format {data.get('format')!r}: expected {FORMAT!r}, as `TokenMonitor.to_json` writes it")
        monitor = cls(declared, alpha=data["alpha"])
        monitor.steps, monitor.poisoned, monitor.open = (int(data[name]) for name in ("steps", "poisoned", "open"))
        monitor.surprisal = SurprisalMonitor.from_json(data["surprisal"])
        monitor.temperature = TemperatureMonitor.from_json(data["temperature"])
        monitor.support = SupportMonitor.from_json(data["support"])
        monitor.anomalous = None if data["anomalous"] is None else AnomalousTokenMonitor.from_json(data["anomalous"])
        monitor.moments = {name: Moments.from_json(data["moments"][name]) for name in NUMBERS}
        return monitor


def _summary(moments: Moments) -> dict[str, Any]:
    return {
        "count": moments.count,
        "mean": moments.mean if moments.count else None,
        "deviation": None if moments.variance is None else moments.variance**0.5,
        "skewness": moments.skewness,
        "excess_kurtosis": moments.excess_kurtosis,
    }
