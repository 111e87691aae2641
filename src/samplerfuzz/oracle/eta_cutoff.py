"""η-sampling: p_i >= min(ε, √ε·e^−H), else the arg-max only (Hewitt, Manning, Liang 2022, arXiv 2210.15191, section 4).

H in nats over what earlier stages left; `eta_cutoff` is ε. The paper keeps p > η, released code p >= η: the difference lies within rounding.
ε <= 0 is off (transformers takes 0 for off in GenerationConfig and refuses it in the warper); ε > 1 has no agreed meaning.
text-generation-webui and aphrodite take the value in units of 1e-4.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.entropy import information
from samplerfuzz.oracle.floors import keep_above


def eta_cutoff(belief: Belief, *, eta_cutoff: np.ndarray) -> Belief:
    """Keep what has at least min(ε, √ε·e^−H), ε = `eta_cutoff` [R]."""
    known = information(belief)
    on = eta_cutoff > 0
    epsilon = np.where(on, eta_cutoff, 1.0)
    error = np.minimum(known.entropy_error, 700)
    low, high = (np.minimum(epsilon, np.sqrt(epsilon) * np.exp(-known.entropy + e)) for e in (-error, error))
    return keep_above(belief, low, high).where(on, belief)
