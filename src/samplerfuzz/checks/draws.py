"""Frequencies of draws against the oracle's interval, by an e-process whose false alarms are bounded by a theorem."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.frequencies import laws_of_legal_row, off_frequency, tokens_of
from samplerfuzz.checks.registry import Check, probe
from samplerfuzz.core.seeding import stream
from samplerfuzz.stats import log_e_value
from samplerfuzz.targets.target import Target

_BATCH, _LARGEST, _ENOUGH, _MOST = 256, 8192, 2048, 204_800
_PROMISING = 1.0


@probe("medium", "draws", applies=lambda spec: spec.draws)
def draw_frequencies_match(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """Over many seeds each token is drawn as often as the definition says. The test is an e-process: it may stop at any
    draw, and the probability that a whole run accuses a correct sampler is at most 1e-6."""
    template = case.take([0])
    laws = laws_of_legal_row(target.spec, template)
    if laws is None:
        return
    budget = self.run_budget()
    threshold = budget.next_threshold()
    rng = stream(int(case.seeds[0]) if case.seeds is not None else 0, "draws", float(case.logits[0, 0]))
    counts = np.zeros(case.vocabulary)
    evidence, judged_at = 0.0, 0.0
    draws = 0
    while draws < _MOST:
        # draws are added while the evidence grows: an e-process may go on for as long as it likes
        if draws >= _ENOUGH and evidence < _PROMISING:
            return
        # rows that share their parameters may share the coin of the call
        # and one number of rows is one shape to compile, until the evidence asks for many more
        rows = 1 if target.spec.tosses and not target.spec.per_row else _BATCH if draws < _ENOUGH else min(draws, _LARGEST)
        seeds = rng.integers(0, 2**31, rows)
        batch = template.take(np.zeros(rows, np.int64))
        if "seed" in target.spec.inputs:
            batch = batch.with_(seeds=seeds if target.spec.per_row else np.repeat(seeds[:1], rows))
        drawn = tokens_of(target, batch)
        if drawn is None:
            return
        counts += np.bincount(drawn, minlength=case.vocabulary)
        draws += rows
        if draws < 1.2 * judged_at and draws < _MOST:
            continue
        judged_at = float(draws)
        evidence = min(log_e_value(counts, law.low, law.high) for law in laws)
        if evidence > threshold:
            yield off_frequency(self, counts, laws[0], evidence=evidence, threshold=threshold, protocol="draws")
            return
