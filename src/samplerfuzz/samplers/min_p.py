"""Min-p: keep what has at least a share a of the largest probability (Nguyen et al. 2024, arXiv 2407.01082).

Kept: p_i ≥ a·max p, that is z_i ≥ max z + ln a; `≥`, so ties are all kept. It depends on where temperature stands: after it here unless the chain
says otherwise. Never empty: a > 1 keeps the arg-max and its ties, as a = 1 does. Off (neutral): a ≤ 0. Domain: reals. In a row with
+inf logits these have all probability, so they alone stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from samplerfuzz.samplers.mass import below_max
from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Cut, Info


@pytree
@dataclass(frozen=True)
class MinP(Cut):
    """p_i ≥ a·max p."""

    a: Any

    def neutral(self, rows: int, vocabulary: int) -> jax.Array:
        """Return where no share is asked for."""
        return column("min_p", self.a, rows) <= 0

    def select(self, z: jax.Array, measured: None) -> tuple[jax.Array, Info]:
        """Compare with the maximum in logits, where nothing underflows."""
        a = column("min_p", self.a, z.shape[0])
        cut = jnp.where(a > 0, jnp.log(jnp.clip(a, jnp.finfo(jnp.float32).tiny, 1.0)), -jnp.inf)
        top = jnp.max(z, axis=-1)
        return below_max(z) >= cut, {"threshold": jnp.where(a[:, 0] > 0, top + cut[:, 0], -jnp.inf)}


def min_p(min_p: ArrayLike) -> MinP:
    """Keep the tokens whose probability is at least a share of the largest.

    Args:
      min_p: a, a ratio of probabilities, scalar or [B]; ≤ 0 is off, neutral 0; > 1 acts as 1.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept, threshold (the least logit that may stay; −inf when off).

    Raises:
      ParameterError: not a number, or not one for each row.

    Policy: `≥`; never empty.

    Source: arXiv 2407.01082.

    Example:
      >>> import jax.numpy as jnp
      >>> min_p(0.3)(jnp.log(jnp.array([0.5, 0.25, 0.125, 0.125])))[0] > -jnp.inf
      Array([ True,  True, False, False], dtype=bool)
    """
    return MinP(real("min_p", min_p))
