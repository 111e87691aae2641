"""top-a: p_i >= a·p_max² (BlinkDL, RWKV-LM README, "The top-a sampling method", 2022).

The README removes what is lower than 0.2·p_max² in words and than 0.02·p_max² in its code. text-generation-webui and koboldcpp remove
p < a·p_max². a <= 0 is off; where a·p_max > 1 only the arg-max stays. p is over what earlier stages left, after temperature when it stands before.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.floors import keep_above, largest


def top_a(belief: Belief, *, top_a: np.ndarray) -> Belief:
    """Keep what has at least `top_a` [R] times the square of the largest probability."""
    low, high = largest(belief)
    return keep_above(belief, top_a * low**2, top_a * high**2).where(top_a > 0, belief)
