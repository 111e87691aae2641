"""How fast a model runs, beside other engines: the same prompts, the same run, a turn each.

Decoding is what `steps` tokens of every row take after the first; prefill is from a prompt to its next token. The first call of each kind is told
apart from the later ones: it compiles, or warms up.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from samplerfuzz.bench.machine import describe, load_average
from samplerfuzz.bench.peers.language_model import LANGUAGE_MODELS, LanguageModel, LanguageModelPeer
from samplerfuzz.bench.peers.peer import OURS, Absent, found
from samplerfuzz.core.errors import UsageError

ROWS, LONG, SHORT, COMPARED = (1, 8, 32), 512, 16, 16


@dataclass(frozen=True, kw_only=True)
class Line:
    """One kind of work: seconds of each engine, the first call and the median of the later ones, and tokens a second at that median."""

    work: str
    tokens: int
    first: dict[str, float]
    median: dict[str, float]
    rounds: int

    @property
    def rates(self) -> dict[str, float]:
        """Tokens a second."""
        return {name: self.tokens / seconds for name, seconds in self.median.items()}

    def as_json(self) -> dict[str, Any]:
        """Return the line as plain values, with how many times as long as samplerfuzz each takes."""
        ratios = {name: seconds / self.median[OURS] for name, seconds in self.median.items() if name != OURS}
        return {**asdict(self), "rates": self.rates, "ratios": ratios}


def compare(
    model: Path, text: Sequence[int], *, rows: Sequence[int] = ROWS, steps: int, rounds: int, peers: Sequence[str] | None = None,
    long: int = LONG, tell: Callable[[str], None] = lambda stage: None,
) -> dict[str, Any]:  # fmt: skip
    """Time every engine that is here, and return the figures with the machine and its load.

    Args:
      model: a GGUF file, or a directory.
      text: token ids to cut prompts from.
      rows: batch sizes to decode at.
      steps: tokens of each row that are timed.
      rounds: calls of each engine and work after the first.
      peers: names; None: all.
      long: tokens of the prompt of prefill.

    Raises:
      UsageError: an unknown peer.
    """
    known = [item.name for item in LANGUAGE_MODELS]
    for name in peers or ():
        if name not in known:
            raise UsageError(f"no peer {name!r}; known: {', '.join(known)}")
    before = load_average()
    here, absent = _present(model, peers, tell)
    with ExitStack() as loaded:
        engines: dict[str, LanguageModel] = {}
        for name, peer in here.items():
            tell(f"loading {name}")
            engines[name] = loaded.enter_context(peer.load(model, max(rows), max(long, SHORT + steps) + 2))
        works = {f"first token after {SHORT}": SHORT, f"prefill of {long}": long}
        lines = [_prefill(engines, work, _cut(text, 1, size)[0], rounds, tell) for work, size in works.items()]
        for count in rows:
            lines.append(_decode(engines, _cut(text, count, SHORT), steps, rounds, tell))
        tell("comparing what they say")
        said = {name: engine.greedy(_cut(text, 1, SHORT)[0], COMPARED) for name, engine in engines.items()}
    return {
        "machine": asdict(describe()),
        "load_average": [before, load_average()],
        "peers": {name: {"version": peer.version(), "how": peer.how()} for name, peer in here.items()},
        "absent": [asdict(item) for item in absent],
        "lines": [line.as_json() for line in lines],
        "same_greedy_tokens": {name: _agreeing(said[OURS], tokens) for name, tokens in said.items()},
        "compared_tokens": COMPARED,
    }


def _present(model: Path, peers: Sequence[str] | None, tell: Callable[[str], None]) -> tuple[dict[str, LanguageModelPeer], list[Absent]]:
    here: dict[str, LanguageModelPeer] = {}
    absent = []
    for known in LANGUAGE_MODELS:
        if peers is not None and known.name not in (*peers, OURS):
            continue
        tell(f"looking for {known.name}")
        asked: Any = found(known)
        if isinstance(asked, Absent):
            absent.append(asked)
        elif why := asked.lacks(model):
            absent.append(Absent(name=known.name, why=why, install=""))
        else:
            here[known.name] = asked
    return here, absent


def _cut(text: Sequence[int], count: int, size: int) -> list[list[int]]:
    """Return prompts that begin at different places of the text, which is taken round and round."""
    return [[text[(row * 7 + at) % len(text)] for at in range(size)] for row in range(count)]


def _prefill(engines: dict[str, LanguageModel], work: str, prompt: list[int], rounds: int, tell: Callable[[str], None]) -> Line:
    tell(work)
    return _timed(work, len(prompt), {name: partial(engine.prefill, prompt) for name, engine in engines.items()}, rounds)


def _decode(engines: dict[str, LanguageModel], prompts: list[list[int]], steps: int, rounds: int, tell: Callable[[str], None]) -> Line:
    work = f"decode {len(prompts)} row{'s' * (len(prompts) != 1)}"
    tell(work)
    calls: dict[str, Callable[[], float]] = {name: partial(engine.decode, prompts, steps) for name, engine in engines.items()}
    return _timed(work, len(prompts) * steps, calls, rounds)


def _timed(work: str, tokens: int, calls: dict[str, Callable[[], float]], rounds: int) -> Line:
    first = {name: call() for name, call in calls.items()}
    later: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            later[name].append(call())
    return Line(
        work=work, tokens=tokens, first=first, median={name: statistics.median(values) for name, values in later.items()}, rounds=rounds
    )


def _agreeing(own: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens agree before the first that does not."""
    return next((at for at, (a, b) in enumerate(zip(own, other, strict=False)) if a != b), min(len(own), len(other)))
