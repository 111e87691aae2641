"""Top-a: keep what has at least a share a of the square of the largest probability (BlinkDL, RWKV-LM README, "The top-a sampling method").

Kept: p_i ≥ a·p_max², `≥`, so ties are all kept. The probabilities are those of the logits that arrive: after temperature when it stands before,
renormalised over what earlier stages left. Never empty: where a·p_max > 1 the arg-max and its ties stay. Off (neutral): a ≤ 0. Domain: reals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.probability import above_floor, probabilities
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Filter, Info


@pytree
@dataclass(frozen=True)
class TopA(Filter):
    """p_i ≥ a·p_max²."""

    a: Any

    def keep(self, z: jax.Array) -> tuple[jax.Array, Info]:
        """Compare probabilities with the share of the square."""
        a = column("top_a", self.a, z.shape[0])
        p = probabilities(z)
        floor = a * jnp.square(jnp.max(p, axis=-1, keepdims=True))
        return (a <= 0) | above_floor(z, p, floor), {"floor": floor[:, 0]}


def top_a(top_a: ArrayLike) -> TopA:
    """Keep the tokens whose probability is at least a share of the square of the largest.

    Args:
      top_a: a, scalar or [B]; ≤ 0 is off, neutral 0.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept, floor (the least probability that may stay).

    Raises:
      ParameterError: not a number, or not one for each row.

    Policy: `≥`; ties of the arg-max are kept; never empty.

    Source: RWKV-LM README, "The top-a sampling method".

    Example:
      >>> import jax.numpy as jnp
      >>> top_a(0.9)(jnp.log(jnp.array([0.5, 0.25, 0.15, 0.1])))[0] > -jnp.inf  # 0.9 · 0.25 = 0.225
      Array([ True,  True, False, False], dtype=bool)
    """
    return TopA(real("top_a", top_a))
