"""What both frequency checks do first: take a row whose law is known, call the target, count its tokens."""

from __future__ import annotations

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.oracle import Belief
from samplerfuzz.targets.target import Outcome, Target


def beliefs_of_legal_row(target: Target, row: Case) -> list[Belief] | None:
    """Return the beliefs of a case of one row, one a reading; None unless every parameter lies in the common domain."""
    judged = Judgement(target.spec, row, Outcome(kind="value", form="tokens", value=np.zeros(1, np.int64)))
    return judged.belief_of(0) if judged.clean[0] and judged.legal[0] else None


def counted(target: Target, batch: Case) -> np.ndarray | None:
    """Return how often each token [V] comes out of one call; None when the call gave no valid tokens (other checks say so)."""
    outcome = target.run(batch)
    if outcome.kind != "value" or outcome.form != "tokens" or ((outcome.value < 0) | (outcome.value >= batch.vocabulary)).any():
        return None
    return np.bincount(outcome.value, minlength=batch.vocabulary)
