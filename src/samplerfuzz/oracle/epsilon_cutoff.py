"""ε-sampling: p_i >= ε, else the arg-max only (Hewitt, Manning, Liang 2022, arXiv 2210.15191, section 4).

The paper keeps p > ε, released code p >= ε: the difference lies within rounding. ε <= 0 is off (transformers takes 0 for off in
GenerationConfig and refuses it in the warper); ε > 1 has no agreed meaning. p is over what earlier stages left, after temperature when it stands
before. text-generation-webui and aphrodite take the value in units of 1e-4.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.floors import keep_above


def epsilon_cutoff(belief: Belief, *, epsilon_cutoff: np.ndarray) -> Belief:
    """Keep what has at least the probability `epsilon_cutoff` [R]."""
    return keep_above(belief, epsilon_cutoff, epsilon_cutoff).where(epsilon_cutoff > 0, belief)
