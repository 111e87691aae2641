"""What the checks of draws share: rows whose law is known, tokens of a call, and what a finding says of counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.checks.evidence import expected_sets, interval
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.checks.registry import Check
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
    return laws is not None and all(law.low.max() < 0.95 and law.high.sum() < 1.2 for law in laws)


def laws_of_legal_row(spec: TargetSpec, row: Case) -> list[Law] | None:
    """Return the laws of a case of one row, one a reading; None unless every parameter lies in the common domain."""
    judged = Judgement(spec, row, Outcome(kind="value", form="tokens", value=np.zeros(1, np.int64)))
    return laws_of_row(judged) if judged.legal[0] else None


def laws_of_row(judged: Judgement) -> list[Law] | None:
    """Return the laws of a draw from a judgement's only row, one a reading; None where there is no answer."""
    if not judged.clean[0]:
        return None
    row = judged.case
    draws_in = judged.spec.draws_in if judged.spec.draws_in != judged.spec.dtype else ""
    laws = []
    for mixture in judged.laws_of(0):
        if not all(belief.possible.any() for _, belief in mixture):
            return None
        bounds = [(chance, *interval(belief, draws_in)) for chance, belief in mixture]
        laws.append(
            Law(
                low=sum((chance * low[0] for chance, low, _ in bounds), np.zeros(row.vocabulary)),
                high=sum((chance * high[0] for chance, _, high in bounds), np.zeros(row.vocabulary)),
                belief=mixture[0][1],
            )
        )
    return laws


def off_frequency(
    check: Check,
    counts: np.ndarray,
    law: Law,
    *,
    evidence: float,
    threshold: float,
    protocol: str,
    after: str = "",
    expected: Mapping[str, Any] | None = None,
    observed: Mapping[str, Any] | None = None,
) -> Violation:
    """Return the violation of `counts` [V] that cannot have come from `law`, told by the token that is furthest off.

    Args:
      evidence, threshold: ln e and the bound that it exceeded.
      protocol: how to repeat it.
      after: what led to the draw, for the title.
      expected, observed: what else belongs to the evidence.
    """
    frequency = counts / counts.sum()
    token = int(np.argmax(np.maximum(law.low - frequency, frequency - law.high)))
    return Violation(
        check=check.id,
        severity=check.severity,
        row=0,
        title=f"{after}token {token} was drawn with frequency {frequency[token]:.4g} of {int(counts.sum())} draws; "
        f"the definition gives {law.low[token]:.4g} to {law.high[token]:.4g}",
        expected={**law.expected(), **(expected or {})},
        observed={"outcome": "value", "counts": counts.astype(int).tolist(), **(observed or {})},
        protocol=protocol,
        statistic=statistic(check, counts.sum(), evidence=evidence, threshold=threshold),
    )


def dependent_pairs(
    check: Check, table: np.ndarray, tokens: np.ndarray, *, what: str, protocol: str, evidence: float, threshold: float
) -> Violation:
    """Return the violation of pairs of draws, counted in `table` [K, K], that are not independent.

    Args:
      tokens: [K] ids of the rows and columns.
      what: is paired, for the title.
      protocol, evidence, threshold: as for `off_frequency`.
    """
    n = table.sum()
    fair = np.outer(table.sum(1), table.sum(0)) / n
    first, second = np.unravel_index(int(np.argmax(np.abs(table - fair))), table.shape)
    return Violation(
        check=check.id,
        severity=check.severity,
        row=0,
        title=f"{what}: ({tokens[first]}, {tokens[second]}) was drawn {int(table[first, second])} times in {int(n)} pairs; "
        f"independent draws give {fair[first, second]:.0f}",
        expected={"outcome": "value", "pairs": np.rint(fair).astype(int).tolist()},
        observed={"outcome": "value", "pairs": table.astype(int).tolist()},
        protocol=protocol,
        statistic=statistic(check, n, evidence=evidence, threshold=threshold),
    )


def statistic(check: Check, n: float, *, evidence: float, threshold: float) -> dict[str, float]:
    """Return the numbers of a test on `n` draws, as a finding shows them."""
    return {"n": float(n), "log_e": min(evidence, 1e300), "threshold": threshold, "alpha": check.run_budget().alpha}


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
    if not belief.possible.any():
        return None
    z = np.where(belief.possible[0], belief.z[0], -np.inf)
    weight = np.exp(z - z.max())
    law: np.ndarray = weight / weight.sum()
    return law
