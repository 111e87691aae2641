"""What is timed is what was asked for: kept sets and tokens against the float64 oracle, once, before the clock starts."""

from __future__ import annotations

import numpy as np

from samplerfuzz.bench.peers.peer import Step
from samplerfuzz.bench.workloads import Workload
from samplerfuzz.core.errors import SamplerFuzzError
from samplerfuzz.oracle import Belief, believe, precision

CHECKED = 4


class WrongResultError(SamplerFuzzError):
    """A peer kept or drew what the chain does not allow: its time means nothing."""


def beliefs(workload: Workload, logits: np.ndarray) -> Belief:
    """Return what the oracle knows of the first rows."""
    rows = logits[:CHECKED]
    return believe(rows, workload.order, workload.values(len(rows)), arithmetic=precision("float32"))


def verify(name: str, step: Step, belief: Belief) -> None:
    """Compare the kept sets of the first rows, and the tokens of one call, with what may be.

    Raises:
      WrongResultError: a token that must stay is missing, one that must go is there, or one was drawn that may not be.
    """
    rows = len(belief.must)
    kept, tokens = step.kept()[:rows], step()[:rows]
    missing, extra = belief.must & ~kept, kept & ~belief.possible
    for what, wrong in (("does not keep", missing), ("keeps", extra)):
        if wrong.any():
            row, token = (int(i) for i in np.argwhere(wrong)[0])
            raise WrongResultError(
                f"{name} {what} token {token} of row {row}; expected {int(belief.must[row].sum())} to {int(belief.possible[row].sum())} tokens: "
                "not timed, since it is another chain"
            )
    for row, token in enumerate(int(t) for t in tokens):
        if not (0 <= token < kept.shape[1] and belief.possible[row, token]):
            raise WrongResultError(
                f"{name} drew token {token} in row {row}, which the chain does not keep; not timed, since it is another chain"
            )
