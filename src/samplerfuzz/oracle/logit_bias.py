"""Logit bias: z_i + b_i (OpenAI API). An id outside the vocabulary should be refused; ignoring it is the only clean reading."""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.penalties import shift


def logit_bias(belief: Belief, *, logit_bias: np.ndarray) -> Belief:
    """Add `logit_bias` [R, V]."""
    return shift(belief, logit_bias)
