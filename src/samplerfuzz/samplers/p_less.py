"""P-less: keep what has at least the probability that two draws agree (Tan, Wu, Howard 2025, arXiv 2509.23234).

p_less: kept p_i ≥ Σ p². p_less_norm: kept p_i ≥ (N·Σp² − 1)/(N − 1), which takes off the agreement of chance; N is the number of tokens that can be
drawn, so that masking a token is deleting it (the authors count the vocabulary). `≥`, so ties are all kept. There is nothing to set; a switch, 0 or 1,
turns the technique off and on row by row. The probabilities are those of the logits that arrive: after temperature when it stands before,
renormalised over what earlier stages left. Never empty: the arg-max is never below the threshold, and stays whatever rounding says. Off
(neutral): ≤ 0; on: anything above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from samplerfuzz.samplers.mass import below_max, row_sum
from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.probability import above_floor
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Filter, Info


@pytree
@dataclass(frozen=True)
class PLess(Filter):
    """p_i ≥ Σ p²."""

    on: Any

    def keep(self, z: jax.Array) -> tuple[jax.Array, Info]:
        """Compare weights with the mean weight of a draw."""
        weight, floor, mass = _agreement(z)
        off = column("p_less", self.on, z.shape[0]) <= 0
        return off | above_floor(z, weight, floor), {"floor": (floor / mass)[:, 0]}


@pytree
@dataclass(frozen=True)
class PLessNorm(Filter):
    """p_i ≥ (N·Σp² − 1)/(N − 1)."""

    on: Any

    def keep(self, z: jax.Array) -> tuple[jax.Array, Info]:
        """Compare weights with the mean weight of a draw, less what chance gives."""
        weight, agreement, mass = _agreement(z)
        count = jnp.sum(z > -jnp.inf, axis=-1, keepdims=True, dtype=jnp.float32)
        floor = (count * agreement - mass) / jnp.maximum(count - 1.0, 1.0)
        off = column("p_less_norm", self.on, z.shape[0]) <= 0
        return off | above_floor(z, weight, floor), {"floor": (floor / mass)[:, 0]}


def _agreement(z: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the weights w [B, V], Σw²/Σw and Σw [B, 1]: Σ p² in units of the largest weight."""
    weight = jnp.exp(below_max(z))
    total = row_sum(weight)[:, None]
    mass = jnp.where(total > 0, total, 1.0)
    return weight, row_sum(jnp.square(weight))[:, None] / mass, mass


def p_less(p_less: ArrayLike = 1) -> PLess:
    """Keep the tokens of at least the probability that two draws agree.

    p_i ≥ Σ p².

    Args:
      p_less: a switch, scalar or [B]; ≤ 0 is off, neutral 0.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept, floor (the least probability that may stay).

    Raises:
      ParameterError: not a number, or not one for each row.

    Policy: `≥`; ties of the arg-max are kept; never empty.

    Source: arXiv 2509.23234.

    Example:
      >>> import jax.numpy as jnp
      >>> p_less()(jnp.log(jnp.array([0.5, 0.35, 0.1, 0.05])))[0] > -jnp.inf  # Σ p² = 0.385
      Array([ True, False, False, False], dtype=bool)
    """
    return PLess(real("p_less", p_less))


def p_less_norm(p_less_norm: ArrayLike = 1) -> PLessNorm:
    """Keep the tokens of at least the probability that two draws agree, less what chance gives.

    p_i ≥ (N·Σp² − 1)/(N − 1).

    Args:
      p_less_norm: a switch, scalar or [B]; ≤ 0 is off, neutral 0.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept, floor (the least probability that may stay).

    Raises:
      ParameterError: not a number, or not one for each row.

    Policy: N counts the tokens that can be drawn; `≥`; ties of the arg-max are kept; never empty.

    Source: arXiv 2509.23234.

    Example:
      >>> import jax.numpy as jnp
      >>> p_less_norm()(jnp.log(jnp.array([0.5, 0.35, 0.1, 0.05])))[0] > -jnp.inf  # (4 · 0.385 − 1)/3 = 0.18
      Array([ True,  True, False, False], dtype=bool)
    """
    return PLessNorm(real("p_less_norm", p_less_norm))
