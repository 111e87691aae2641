"""The comparison: every workload, batch and vocabulary, all peers side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from samplerfuzz.bench.machine import describe, load_average
from samplerfuzz.bench.peers.peer import OURS, PEERS, Absent, Peer, found
from samplerfuzz.bench.timing import Times, side_by_side
from samplerfuzz.bench.verify import CHECKED, beliefs, verify
from samplerfuzz.bench.workloads import ABOUT_ROWS, WORKLOADS, language_like_logits
from samplerfuzz.core.errors import UsageError

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Line:
    """One workload at one size."""

    workload: str
    rows: int
    vocabulary: int
    times: dict[str, Times]  # peer -> milliseconds a call
    lacking: dict[str, str]  # peer -> why it has no such chain
    ratios: dict[str, float]  # peer -> its median over ours
    scratch: float  # memory the compiled step needs beside the logits, in sizes of the logits


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All lines, and under what conditions."""

    lines: tuple[Line, ...]
    peers: dict[str, dict[str, str]]  # peer -> version, how
    absent: tuple[Absent, ...]
    conditions: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as plain values."""
        return {"format": FORMAT, **dataclasses.asdict(self)}


def compare(
    workloads: Sequence[str],
    rows: Sequence[int],
    vocabularies: Sequence[int],
    *,
    seconds: float,
    seed: int,
    tell: Callable[[str], None] = lambda text: None,
    peers: Sequence[str] | None = None,
) -> Comparison:
    """Time the workloads with every peer that is here.

    Args:
      workloads: names of WORKLOADS.
      rows: batch sizes B.
      vocabularies: sizes V.
      seconds: time for each peer and line.
      seed: of the rows.
      tell: called with a word of progress.
      peers: names; None: all. This package is always there.

    Raises:
      UsageError: an unknown workload or peer.
      WrongResultError: a peer computes something else.
    """
    for what, given, known in (("workload", workloads, list(WORKLOADS)), ("peer", peers or (), [p.name for p in PEERS])):
        for name in given:
            if name not in known:
                raise UsageError(f"no {what} {name!r}; known: {', '.join(known)}")
    before = load_average()
    here: dict[str, Peer] = {}
    absent: list[Absent] = []
    for known_peer in PEERS:
        if peers is not None and known_peer.name not in (*peers, OURS):
            continue
        tell(f"looking for {known_peer.name}")
        asked = found(known_peer)
        if isinstance(asked, Absent):
            absent.append(asked)
        else:
            here[known_peer.name] = asked
    lines = []
    for vocabulary in vocabularies:
        logits = language_like_logits(max(rows), vocabulary, seed)
        for size in rows:
            for name in workloads:
                tell(f"{name}, B {size}, V {vocabulary}")
                lines.append(_line(name, here, logits[:size], seconds))
    conditions = {
        "machine": dataclasses.asdict(describe()),
        "load_average": [before, load_average()],
        "rows": ABOUT_ROWS,
        "seed": seed,
        "seconds": seconds,
        "workloads": {name: {"order": WORKLOADS[name].order, "parameters": dict(WORKLOADS[name].parameters)} for name in workloads},
        "checked": f"kept sets and tokens of the first {CHECKED} rows against the float64 oracle, before timing",
    }
    about = {name: {"version": peer.version(), "how": peer.how()} for name, peer in here.items()}
    return Comparison(lines=tuple(lines), peers=about, absent=tuple(absent), conditions=conditions)


def _line(name: str, peers: dict[str, Peer], logits: Any, seconds: float) -> Line:
    workload = WORKLOADS[name]
    belief = beliefs(workload, logits)
    lacking = {peer: why for peer, item in peers.items() if (why := item.lacks(workload))}
    with ExitStack() as stack:
        steps = {peer: stack.enter_context(item.prepare(workload, logits)) for peer, item in peers.items() if peer not in lacking}
        for peer, step in steps.items():
            verify(peer, step, belief)
        times = side_by_side(steps, seconds)
        scratch = steps[OURS].scratch() / logits.nbytes  # type: ignore[attr-defined]
    ratios = {peer: t.median / times[OURS].median for peer, t in times.items() if peer != OURS}
    return Line(
        workload=name,
        rows=logits.shape[0],
        vocabulary=logits.shape[1],
        times=times,
        lacking=lacking,
        ratios=ratios,
        scratch=round(scratch, 3),
    )
