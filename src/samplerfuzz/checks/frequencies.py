"""What both frequency checks do first: take a row whose law is known, call the target, count its tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.checks.evidence import expected_sets, interval
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.oracle import Belief
from samplerfuzz.targets.target import Outcome, Target, TargetSpec


@dataclass(frozen=True, kw_only=True)
class Law:
    """One fair law of a draw: bounds [V] of each token's probability, coins of the chain mixed in, and the belief it came from."""

    low: np.ndarray
    high: np.ndarray
    belief: Belief

    def expected(self) -> dict[str, Any]:
        """Return JSON-ready numbers for a finding."""
        return {**expected_sets(self.belief, 0), "low": self.low.tolist(), "high": self.high.tolist()}


def is_telling(spec: TargetSpec, row: Case) -> bool:
    """Whether draws of a row can say much: several tokens are likely, and ties or roundings leave little open."""
    laws = laws_of_legal_row(spec, row)
    return laws is not None and all(law.low.max() < 0.95 and law.high.sum() < 1.1 for law in laws)


def laws_of_legal_row(spec: TargetSpec, row: Case) -> list[Law] | None:
    """Return the laws of a case of one row, one a reading; None unless every parameter lies in the common domain."""
    judged = Judgement(spec, row, Outcome(kind="value", form="tokens", value=np.zeros(1, np.int64)))
    return laws_of_row(judged) if judged.legal[0] else None


def laws_of_row(judged: Judgement) -> list[Law] | None:
    """Return the laws of a draw from a judgement's only row, one a reading; None where there is no answer."""
    if not judged.clean[0]:
        return None
    row = judged.case
    laws = []
    for mixture in judged.laws_of(0):
        bounds = [(chance, *interval(belief)) for chance, belief in mixture]
        laws.append(
            Law(
                low=sum((chance * low[0] for chance, low, _ in bounds), np.zeros(row.vocabulary)),
                high=sum((chance * high[0] for chance, _, high in bounds), np.zeros(row.vocabulary)),
                belief=mixture[0][1],
            )
        )
    return laws


def tokens_of(target: Target, batch: Case) -> np.ndarray | None:
    """Return the tokens [B] of one call; None when the call gave no valid tokens (other checks say so)."""
    outcome = target.run(batch)
    if outcome.kind != "value" or outcome.form != "tokens" or ((outcome.value < 0) | (outcome.value >= batch.vocabulary)).any():
        return None
    return np.asarray(outcome.value)


def plain_law(spec: TargetSpec, case: Case) -> np.ndarray | None:
    """Return the probabilities [V] of the first row of a case under the plainest reading; None where there is no answer."""
    row = case.take([0])
    judged = Judgement(spec, row, Outcome(kind="value", form="tokens", value=np.zeros(1, np.int64)))
    if not judged.clean[0]:
        return None
    belief = judged.laws_of(0)[0][0][1]
    z = np.where(belief.possible[0], belief.z[0], -np.inf)
    weight = np.exp(z - z.max())
    law: np.ndarray = weight / weight.sum()
    return law
