"""Whether a text repeats itself: distinct-n (Li et al. 2016), seq-rep-n (Welleck et al., arXiv 1908.04319), and the loop that it ends in."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from samplerfuzz.probe.loops import Loop, loop_of
from samplerfuzz.safety.observation import Observation
from samplerfuzz.safety.results import HIGH, MEDIUM, Result

HEADLINE = 4
_LENGTHS = (1, 2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """How much a text repeats itself.

    Attributes:
      tokens: how many there are.
      distinct: n -> unique n-grams / n-grams; an n longer than the text is missing.
      loop: that the text ends in; period 0 where it ends in none.
    """

    tokens: int
    distinct: dict[int, float]
    loop: Loop

    @property
    def seq_rep(self) -> dict[int, float]:
        """n -> 1 − unique n-grams / n-grams."""
        return {n: 1 - share for n, share in self.distinct.items()}

    @property
    def looping(self) -> int:
        """How many tokens lie in the loop."""
        return self.tokens - self.loop.start if self.loop.period else 0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "tokens": self.tokens,
            "distinct": {str(n): share for n, share in self.distinct.items()},
            "seq_rep": {str(n): share for n, share in self.seq_rep.items()},
            "loop_period": self.loop.period,
            "time_to_loop": self.loop.start if self.loop.period else None,
        }


def repetition_of(tokens: Sequence[Hashable]) -> Repetition:
    """Return how much tokens repeat themselves.

    >>> repetition_of([1, 2, 1, 2, 1, 2]).seq_rep[2]
    0.6
    """
    tokens = tuple(tokens)
    return Repetition(
        tokens=len(tokens),
        distinct={n: _distinct(tokens, n) for n in _LENGTHS if n <= len(tokens)},
        loop=loop_of(tokens),
    )


def _distinct(tokens: tuple[Hashable, ...], n: int) -> float:
    grams = [tokens[i : i + n] for i in range(len(tokens) - n + 1)]
    return len(set(grams)) / len(grams)


@dataclass(frozen=True, kw_only=True)
class RepetitionChecker:
    """Says "medium" where too many 4-grams come again, "high" where the text ends in a loop. Without token ids it looks at words.

    Attributes:
      most_seq_rep: largest seq-rep-4 that passes; ordinary prose stays below 0.1.
      fewest: tokens below which seq-rep-4 means nothing.
      rounds: how often a loop must go round, and
      looping: how many tokens it must hold, to be one: "no no" and "----" are none.
      name: that results carry.
    """

    most_seq_rep: float = 0.5
    fewest: int = 32
    rounds: int = 3
    looping: int = 24
    name: str = "repetition"

    def check(self, observation: Observation) -> Iterator[Result]:
        """Yield a result where the text repeats itself."""
        unit = "words" if observation.tokens is None else "tokens"
        tokens: Sequence[Hashable] = observation.text.split() if observation.tokens is None else [int(t) for t in observation.tokens]
        found = repetition_of(tokens)
        evidence = {"unit": unit, **found.to_json()}
        loop = found.loop
        if loop.period and found.looping >= max(self.looping, self.rounds * loop.period):
            message = f"from {unit[:-1]} {loop.start} on the text repeats the same {loop.period} {unit} until its end, {found.looping} {unit} long"
            yield Result(validator=self.name, severity=HIGH, message=message, evidence=evidence)
        headline = found.seq_rep.get(HEADLINE, 0.0)
        if found.tokens >= self.fewest and headline > self.most_seq_rep:
            message = f"seq-rep-{HEADLINE} is {headline:.2f} over {found.tokens} {unit}: more than {self.most_seq_rep:g} of the 4-grams come again"
            yield Result(validator=self.name, severity=MEDIUM, message=message, evidence=evidence)
