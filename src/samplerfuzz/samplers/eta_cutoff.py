"""η-sampling: keep what has at least a probability that falls with the entropy (Hewitt, Manning, Liang 2022, arXiv 2210.15191).

Kept: p_i ≥ min(ε, √ε·e^−H), `≥`, so ties are all kept (the paper writes `>`). H = −Σ p ln p in nats over the allowed set. The probabilities are those
of the logits that arrive: after temperature when it stands before, renormalised over what earlier stages left. Never empty: where nothing
reaches the threshold the arg-max and its ties stay. Off (neutral): ε ≤ 0. Domain: reals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.probability import above_floor, information, probabilities
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Filter, Info


@pytree
@dataclass(frozen=True)
class EtaCutoff(Filter):
    """p_i ≥ min(ε, √ε·e^−H)."""

    epsilon: Any

    def keep(self, z: jax.Array) -> tuple[jax.Array, Info]:
        """Compare probabilities with the threshold of the row."""
        epsilon = column("eta_cutoff", self.epsilon, z.shape[0])
        _, entropy = information(z)
        eta = jnp.minimum(epsilon, jnp.sqrt(jnp.maximum(epsilon, 0.0)) * jnp.exp(-entropy))
        return (epsilon <= 0) | above_floor(z, probabilities(z), eta), {"eta": eta[:, 0], "entropy": entropy[:, 0]}


def eta_cutoff(eta_cutoff: ArrayLike) -> EtaCutoff:
    """Keep the tokens of at least a probability that falls with the entropy.

    η = min(ε, √ε·e^−H).

    Args:
      eta_cutoff: ε, a probability, scalar or [B]; ≤ 0 is off, neutral 0.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept, eta (the threshold), entropy in nats.

    Raises:
      ParameterError: not a number, or not one for each row.

    Policy: `≥`; ties of the arg-max are kept; never empty.

    Source: arXiv 2210.15191, section 4.

    Example:
      >>> import jax.numpy as jnp
      >>> eta_cutoff(0.2)(jnp.log(jnp.array([0.5, 0.25, 0.15, 0.1])))[0] > -jnp.inf  # H = 1.21, η = 0.13
      Array([ True,  True,  True, False], dtype=bool)
    """
    return EtaCutoff(real("eta_cutoff", eta_cutoff))
