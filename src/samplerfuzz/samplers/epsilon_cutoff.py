"""ε-sampling: keep what has at least a probability ε (Hewitt, Manning, Liang 2022, arXiv 2210.15191).

Kept: p_i ≥ ε, `≥`, so ties are all kept (the paper writes `>`). The probabilities are those of the logits that arrive: after temperature when it stands
before, renormalised over what earlier stages left. Never empty: where nothing reaches ε the arg-max and its ties stay. Off (neutral): ε ≤ 0.
Domain: reals. In a row with +inf logits these share all probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
from numpy.typing import ArrayLike

from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.probability import above_floor, probabilities
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Filter, Info


@pytree
@dataclass(frozen=True)
class EpsilonCutoff(Filter):
    """p_i ≥ ε."""

    epsilon: Any

    def keep(self, z: jax.Array) -> tuple[jax.Array, Info]:
        """Compare probabilities with ε."""
        epsilon = column("epsilon_cutoff", self.epsilon, z.shape[0])
        return (epsilon <= 0) | above_floor(z, probabilities(z), epsilon), {}


def epsilon_cutoff(epsilon_cutoff: ArrayLike) -> EpsilonCutoff:
    """Keep the tokens of at least a probability.

    Args:
      epsilon_cutoff: ε, a probability, scalar or [B]; ≤ 0 is off, neutral 0; > 1 keeps the arg-max.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept.

    Raises:
      ParameterError: not a number, or not one for each row.

    Policy: `≥`; ties of the arg-max are kept; never empty.

    Source: arXiv 2210.15191, section 4.

    Example:
      >>> import jax.numpy as jnp
      >>> epsilon_cutoff(0.2)(jnp.log(jnp.array([0.5, 0.25, 0.125, 0.125])))[0] > -jnp.inf
      Array([ True,  True, False, False], dtype=bool)
    """
    return EpsilonCutoff(real("epsilon_cutoff", epsilon_cutoff))
