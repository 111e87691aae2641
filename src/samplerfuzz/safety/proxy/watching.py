"""Answers are examined beside the bytes: a copy of what passed is read in a thread of its own, after the client has it.

How many are examined is the policy's `sampling_rate`. What is found is counted and shown; it never changes an answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from samplerfuzz.safety.proxy.answers import Choice, read
from samplerfuzz.safety.proxy.background import Background
from samplerfuzz.safety.proxy.metrics import Metrics
from samplerfuzz.safety.proxy.state import LiveState
from samplerfuzz.safety.validators.distribution import DistributionMonitor

if TYPE_CHECKING:
    from samplerfuzz.safety.monitors.anomalous import AnomalousTokenMonitor
    from samplerfuzz.safety.proxy.fidelity import Fidelity, Turn

LARGEST = 4 * 2**20
ANOMALOUS = "anomalous tokens"
_WAITING = 256
_LONGEST_TEXT, _MOST_TOKENS = 2**16, 2**14  # of one text, so that a strange one does not keep the thread busy
_WHOLE = 0.99  # a listed share from which its entropy is the whole row's, nearly


class Validates(Protocol):
    """What a pipeline of validators is asked for."""

    def validate(self, sampling_config: Any, generated_text: str, *, tokens: Any = None, statistics: Any = None) -> Any:
        """Return a report with `results`."""


class Tap:
    """A copy of what passes, up to a size."""

    def __init__(self, largest: int = LARGEST) -> None:
        """Begin empty."""
        self.pieces: list[bytes] = []
        self._left = largest
        self.overflowed = False

    def take(self, piece: bytes) -> None:
        """Keep a piece, as long as there is room."""
        if len(piece) > self._left:
            self.overflowed = True
            self._left = 0
            return
        self._left -= len(piece)
        self.pieces.append(piece)


@dataclass(frozen=True, kw_only=True)
class Watched:
    """One answer to be examined: its bytes, whether they are events, and the settings it was given for."""

    tap: Tap
    events: bool
    settings: Mapping[str, Any]
    path: str
    turn: Turn | None = None
    counted: Callable[[Mapping[str, int]], None] = field(default=lambda usage: None)


class Watcher:
    """Read answers, hand them to the validators, and count what these notice."""

    def __init__(
        self,
        pipeline: Validates,
        metrics: Metrics,
        state: LiveState,
        *,
        anomalous: Collection[int] = frozenset(),
        rate: AnomalousTokenMonitor | None = None,
        fidelity: Fidelity | None = None,
        alarmed: Callable[[str, Mapping[str, Any]], None] = lambda name, numbers: None,
    ) -> None:
        """Begin to watch.

        Args:
          pipeline: of validators.
          metrics: where to count.
          state: what the page shows.
          anomalous: ids that the registry of the census lists.
          rate: monitor of their share.
          fidelity: monitors of the law that tokens are drawn by.
          alarmed: told the name of the monitor of the share when it raises its alarm, and its numbers.
        """
        self._pipeline, self._metrics, self._state = pipeline, metrics, state
        self._anomalous, self._rate = frozenset(anomalous), rate
        self._fidelity, self._tell, self._alarmed = fidelity, alarmed, False
        self._background = Background("samplerfuzz-watch", longest=_WAITING, failed=lambda: metrics.add("guard_errors", "watch"))

    def submit(self, watched: Watched) -> None:
        """Have an answer examined later; where too much waits, it is counted as not watched."""
        if watched.tap.overflowed:
            self._metrics.add("unwatched_answers", "large")
        if watched.tap.overflowed and not watched.events:
            self.give_up(watched.turn)
        elif not self._background.do(lambda: self.examine(watched)):
            self._metrics.add("unwatched_answers", "busy")
            self.give_up(watched.turn)

    def give_up(self, turn: Turn | None) -> None:
        """Let the answers behind go on: this one is not examined."""
        if turn is not None and self._fidelity is not None:
            self._fidelity.give_up(turn)

    def wait(self) -> None:
        """Return when all that was submitted is examined."""
        self._background.wait()

    def end(self, seconds: float) -> None:
        """Finish."""
        self._background.end(seconds)

    def examine(self, watched: Watched) -> None:
        """Read one answer and count what is noticed."""
        try:
            answer = read(watched.tap.pieces, events=watched.events)
        except BaseException:
            self.give_up(watched.turn)
            raise
        if watched.turn is not None and self._fidelity is not None:
            self._fidelity.take(watched.turn, answer)
        if watched.tap.overflowed:  # of a long stream the beginning is held against its law, and nothing else
            return
        if answer.usage:
            watched.counted(answer.usage)
        if not answer.choices:
            self._metrics.add("unwatched_answers", "unreadable")
            return
        self._metrics.add("watched_answers")
        for choice in answer.choices.values():
            self._examine(choice, watched)

    def _examine(self, choice: Choice, watched: Watched) -> None:
        tokens = choice.tokens or None
        if tokens:
            self._metrics.add("tokens", amount=len(tokens))
            self._metrics.add("anomalous_tokens", amount=sum(token in self._anomalous for token in tokens))
            self._watch_rate(tokens)
        statistics = [step_statistics(position) for position in choice.positions]
        for step in statistics:
            if step["entropy"] is not None:
                self._metrics.observe("entropy_nats", step["entropy"])
        report = self._pipeline.validate(
            watched.settings, "".join(choice.text)[:_LONGEST_TEXT], tokens=tokens and tokens[:_MOST_TOKENS], statistics=statistics or None
        )
        for result in report.results:
            if result.severity in ("medium", "high"):
                self._metrics.add("answer_anomalies", result.validator)
                if result.validator == DistributionMonitor.name:
                    self._metrics.add("distribution_anomalies")
                self._state.noticed(path=watched.path, validator=result.validator, severity=result.severity)

    def _watch_rate(self, tokens: Sequence[int]) -> None:
        if self._rate is None:
            return
        self._rate.update([token for token in tokens if 0 <= token < 2**31])
        self._metrics.put("e_value", self._rate.test.log_e, ANOMALOUS)
        if self._rate.alarm and not self._alarmed:
            self._alarmed = True
            self._tell(ANOMALOUS, self._rate.describe())


def step_statistics(listed: Sequence[float]) -> dict[str, Any]:
    """Return what the listed log-probabilities of a position say; None for what they leave open.

    Entropy and varentropy are those of the listed tokens, with the rest as one more; said only where the listed ones hold 99 %.

    >>> round(step_statistics([math.log(0.5), math.log(0.5)])["entropy"], 3), step_statistics([math.log(0.5)])["entropy"]
    (0.693, None)
    """
    bad = sum(1 for value in listed if not math.isfinite(value))
    p = [math.exp(min(value, 0.0)) for value in listed if math.isfinite(value)]
    total = math.fsum(p)
    found: dict[str, Any] = {"entropy": None, "varentropy": None, "nan": bad, "listed": len(listed)}
    if total >= _WHOLE and not bad:
        weights = [w / max(total, 1.0) for w in [*p, max(0.0, 1.0 - total)] if w > 0]
        entropy = -math.fsum(w * math.log(w) for w in weights)
        found["entropy"] = max(0.0, entropy)
        found["varentropy"] = max(0.0, math.fsum(w * (-math.log(w) - entropy) ** 2 for w in weights))
    return found
