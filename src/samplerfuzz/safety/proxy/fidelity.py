"""Whether tokens are drawn from the law that is told or declared: the surprisal martingale and the temperature that the tokens show, from listed log-probabilities.

What is not known exactly counts nothing (module known_law), and how much that was is said, by reason. SciPy is loaded with the first position that counts.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from samplerfuzz.safety.policy import Policy
from samplerfuzz.safety.proxy.answers import Answer
from samplerfuzz.safety.proxy.known_law import MOST_POSITIONS, RANDOM_SEEDS, KnownLaw, known_law
from samplerfuzz.safety.proxy.metrics import Metrics
from samplerfuzz.safety.proxy.state import LiveState
from samplerfuzz.safety.proxy.told import Told
from samplerfuzz.safety.proxy.turns import Turns

if TYPE_CHECKING:
    from samplerfuzz.safety.monitors.listed import Evidence
    from samplerfuzz.safety.monitors.surprisal import SurprisalMonitor
    from samplerfuzz.safety.monitors.temperature import TemperatureMonitor

SURPRISAL, TEMPERATURE = "surprisal", "temperature"
_REMEMBERED = 2**14
_ABOVE_ONE = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Turn:
    """An answer to come: what is known of its law, or why nothing is, and its place in the row."""

    law: KnownLaw | None
    reason: str = ""
    place: int | None = None


class Fidelity:
    """The monitors of one guard."""

    def __init__(
        self, policy: Policy, metrics: Metrics, state: LiveState, *, alpha: float, alarmed: Callable[[str, Mapping[str, Any]], None]
    ) -> None:
        """Begin.

        Args:
          policy: says what log-probabilities are, and which engine is behind.
          metrics: where to count.
          state: what the page shows.
          alpha: bound on the probability that one of the monitors ever raises a false alarm.
          alarmed: told the name of a monitor that raises its alarm, and its numbers.
        """
        self._policy, self._metrics, self._state, self._alpha, self._alarmed = policy, metrics, state, alpha, alarmed
        self._turns = Turns["Evidence"]()
        self._lock = threading.Lock()
        self._seen, self._key = OrderedDict[bytes, None](), os.urandom(16)
        self._monitors: tuple[SurprisalMonitor, TemperatureMonitor] | None = None
        self._told_of, self._next = set[str](), 0

    def begin(self, shape: str, data: Mapping[str, Any], body: bytes, *, added: int = 0) -> Turn:
        """Return a turn for the answer to a request that is about to be sent; `added`: log-probabilities that the guard asks for itself."""
        law = known_law(shape, data, self._policy, added=added)
        if isinstance(law, str):
            return Turn(law=None, reason=law)
        if self._is_repeated(body):
            return Turn(law=None, reason="repeated")
        with self._lock:
            place = self._turns.take()
        return Turn(law=None, reason="busy") if place is None else Turn(law=law, place=place)

    def take(self, turn: Turn, answer: Answer) -> None:
        """Hold the tokens of an answer against their law; what is known late counts when its turn comes."""
        found = None
        try:
            skipped = Counter[str]()
            found = self._evidence(turn, answer, skipped)
            for reason, count in (+skipped).items():
                self._metrics.add("law_skipped", reason, amount=count)
        finally:
            self._give(turn, found)

    def give_up(self, turn: Turn) -> None:
        """Let those behind go on: nothing can be read of this answer."""
        self._give(turn, None)

    def _is_repeated(self, body: bytes) -> bool:
        """Whether the same was asked before: what a cache answers again is not drawn again."""
        digest = hashlib.blake2b(body, key=self._key, digest_size=16).digest()
        seen = digest in self._seen
        self._seen[digest] = None
        self._seen.move_to_end(digest)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return seen

    def _evidence(self, turn: Turn, answer: Answer, skipped: Counter[str]) -> Evidence | None:
        positions = [told for choice in answer.choices.values() for told in choice.told]
        reason = turn.reason or _unfit(answer, len(positions))
        if turn.law is None or reason:
            skipped[reason] += len(positions)
            return None
        skipped["length"] += max(0, len(positions) - MOST_POSITIONS)
        rows = [row for told in positions[:MOST_POSITIONS] if (row := _row(told, turn.law, skipped)) is not None]
        if not rows:
            return None
        from samplerfuzz.safety.monitors.listed import ListedSteps, evidence

        logits = np.full((len(rows), max(len(row[0]) for row in rows)), -np.inf)
        for place, row in enumerate(rows):
            logits[place, : len(row[0])] = row[0]
        _, drawn, rest, slack = zip(*rows, strict=True)
        found = evidence(ListedSteps(logits=logits, drawn=np.array(drawn), rest=np.array(rest), slack=np.array(slack)))
        skipped["outside"] += len(rows) - len(found.logs)
        return found

    def _give(self, turn: Turn, found: Evidence | None) -> None:
        if turn.place is None:
            return
        with self._lock:
            for item in self._turns.give(turn.place, found):
                self._observe(item)

    def _observe(self, found: Evidence) -> None:
        from samplerfuzz.safety.monitors.surprisal import SurprisalMonitor
        from samplerfuzz.safety.monitors.temperature import TemperatureMonitor
        from samplerfuzz.safety.step import index

        if self._monitors is None:
            self._monitors = SurprisalMonitor(alpha=self._alpha), TemperatureMonitor(alpha=self._alpha)
        surprisal, temperature = self._monitors
        sums = {name: float(found.vectors[:, index(name)].sum()) for name in ("excess", "varentropy")}
        surprisal.bet(found.logs, excess=sums["excess"], variance=sums["varentropy"])
        temperature.update(found.vectors, found.slack)
        self._metrics.add("law_positions", amount=len(found.logs))
        self._metrics.put("e_value", surprisal.test.log_e, SURPRISAL)
        if surprisal.alarm:
            self._alarm(SURPRISAL, surprisal.describe())
        if temperature.steps < self._next:
            return
        self._next = temperature.steps + max(64, temperature.steps // 50)  # the bounds hold at all times, looked at or not
        low, high = temperature.interval
        for bound, value in (("low", low), ("estimate", temperature.factor), ("high", high)):
            self._metrics.put("temperature_factor", math.nan if value is None else value, bound)
        self._state.sampling = {"low": low, "estimate": temperature.factor, "high": high}
        if temperature.alarm:
            self._alarm(TEMPERATURE, temperature.describe())

    def _alarm(self, name: str, numbers: Mapping[str, Any]) -> None:
        if name not in self._told_of:
            self._told_of.add(name)
            self._alarmed(name, numbers)


def _unfit(answer: Answer, positions: int) -> str:
    """Return why nothing of an answer counts, whatever is drawn in it; an empty text where it may."""
    if len(answer.choices) > 1:
        return "several"
    if answer.seed not in RANDOM_SEEDS:
        return "seed"
    return "doubled" if positions > answer.usage.get("output", positions) else ""


def _row(told: Told | None, law: KnownLaw, skipped: Counter[str]) -> tuple[np.ndarray, int, float, float] | None:
    """Return logits of the set, column of the drawn token, what is left of the probability (NaN: not known) and slack of one position."""
    reason = _unreadable(told, law)
    if told is None or reason:
        skipped[reason] += 1
        return None
    members = told.members(law.listed)
    if len(members) < 2:
        skipped["few"] += 1
        return None
    logprobs, drawn = np.array([told.logprobs[place] for place in members]), told.place(members)
    total = float(np.exp(logprobs).sum())
    if total > 1 + _ABOVE_ONE:
        skipped["sum"] += 1
        return None
    if drawn is None and told.after_chain:
        skipped["unclear"] += 1
        return None
    temperature = 1.0 if told.after_chain or law.temperature is None else law.temperature
    rest = max(0.0, 1.0 - total) if told.after_chain else math.nan
    slack = max(told.slack[place] for place in members)
    return logprobs / temperature, -1 if drawn is None else drawn, rest, slack / temperature


def _unreadable(told: Told | None, law: KnownLaw) -> str:
    if told is None:
        return "untold"
    if told.after_chain:
        return "" if law.after_chain else "meaning"
    if law.temperature is None:
        return law.reason
    return "short" if told.collapses and len(told.names) < law.listed else ""
