"""Draws that follow each other are independent: over neighbouring seeds, over the rows of a call, over calls without a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.frequencies import dependent_pairs, tokens_of
from samplerfuzz.checks.registry import Check, probe
from samplerfuzz.core.seeding import stream
from samplerfuzz.stats import log_e_independence
from samplerfuzz.targets.target import Target

_ROUNDS, _FEW_ROUNDS, _DRAWS = 24, 3, 256


@probe("high", "draws", applies=lambda spec: spec.draws and "seed" in spec.inputs)
def neighbouring_seeds_draw_independently(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """What seed s draws tells nothing of what seed s + 1 draws: callers number their requests and steps. One step of a linear generator
    maps neighbouring seeds to neighbouring uniforms, and a whole generation draws the same rank. Pairs are tested by an e-process."""
    row = _conditioned(case)
    count = _DRAWS if target.spec.per_row else 32

    def drawn(round_: int) -> np.ndarray | None:
        seeds = int(row.seeds[0] if row.seeds is not None else 0) % 2**20 + round_ * count + np.arange(count)
        if target.spec.per_row:
            return tokens_of(target, row.take(np.zeros(count, np.int64)).with_(seeds=seeds))
        single = [tokens_of(target, row.with_(seeds=np.array([seed]))) for seed in seeds]
        return None if any(tokens is None for tokens in single) else np.concatenate(single)  # type: ignore[arg-type]

    yield from _judged(self, row, drawn, "neighbouring seeds", "pairs of seeds")


@probe("high", "draws", applies=lambda spec: spec.draws and not spec.tosses and not ("seed" in spec.inputs and spec.per_row))
def neighbouring_rows_draw_independently(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """Rows of one call that share a seed, or have none, draw independently of each other: what one row draws tells nothing of the next.
    Samplers that toss one coin for the whole call (XTC) are left out."""
    row = _conditioned(case)
    rng = stream(int(row.seeds[0]) if row.seeds is not None else 0, "rows")

    def drawn(round_: int) -> np.ndarray | None:
        batch = row.take(np.zeros(_DRAWS, np.int64))
        return tokens_of(target, batch if row.seeds is None else batch.with_(seeds=np.full(_DRAWS, rng.integers(0, 2**31))))

    yield from _judged(self, row, drawn, "neighbouring rows", "pairs of rows")


def _conditioned(case: Case) -> Case:
    """Return the first row with all but two to four of its tokens masked: few outcomes, so that a pattern shows in few draws."""
    row = case.take([0])
    rng = stream(0, "conditioned", row.logits.tobytes())
    allowed = np.flatnonzero(np.isfinite(row.logits[0]))
    if len(allowed) <= 4:
        return row
    chosen = rng.choice(allowed, int(rng.integers(2, 5)), replace=False)
    masked = np.full_like(row.logits, -np.inf)
    masked[0, chosen] = row.logits[0, chosen]
    return row.with_(logits=masked)


def _judged(self: Check, row: Case, drawn: Callable[[int], np.ndarray | None], what: str, protocol: str) -> Iterator[Violation]:
    allowed = np.flatnonzero(np.isfinite(row.logits[0]))
    size = len(allowed)
    budget = self.run_budget()
    threshold = budget.next_threshold()
    counts = np.zeros(size * size)
    evidence = 0.0
    for round_ in range(_ROUNDS):
        if round_ >= _FEW_ROUNDS and evidence < 1.0:
            return
        tokens = drawn(round_)
        if tokens is None or not np.isin(tokens, allowed).all():
            return
        pairs = np.searchsorted(allowed, tokens[: len(tokens) // 2 * 2]).reshape(-1, 2)
        counts += np.bincount(pairs[:, 0] * size + pairs[:, 1], minlength=size * size)
        table = counts.reshape(size, size)
        evidence = log_e_independence(table)
        if evidence > threshold:
            yield dependent_pairs(self, table, allowed, what=what, protocol=protocol, evidence=evidence, threshold=threshold)
            return
