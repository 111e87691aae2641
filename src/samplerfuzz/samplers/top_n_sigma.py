"""Top-nσ: keep what lies within n standard deviations of the maximum logit (Tang et al. 2024, arXiv 2411.07641).

Kept: z_i ≥ max z − n·σ, `≥`, so ties are all kept; σ is the standard deviation of the logits of the allowed set (−∞ entries do not count): of the
population, or with Bessel's correction as `sigma` says.
The same set for every temperature T > 0, so it may stand before or after it. Never empty: the maximum is always kept.
Off (neutral): n ≤ 0. Domain: reals. In a row with +inf logits these alone stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from samplerfuzz.samplers.mass import half_difference, ratio, row_sum
from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.pytree import pytree, static
from samplerfuzz.samplers.stage import Filter, Info
from samplerfuzz.samplers.ties import option

SIGMAS = ("population", "bessel")


@pytree
@dataclass(frozen=True)
class TopNSigma(Filter):
    """z_i ≥ max z − n·σ."""

    n: Any
    sigma: str = static("population")

    def keep(self, z: jax.Array) -> tuple[jax.Array, Info]:
        """Measure in units of the range, where neither the range nor a square overflows."""
        n = column("top_n_sigma", self.n, z.shape[0])
        allowed = z > -jnp.inf
        top = jnp.max(z, axis=-1, keepdims=True)
        half_gap = jnp.where(z == top, 0.0, half_difference(top, z))
        half_range = jnp.max(jnp.where(allowed, half_gap, 0.0), axis=-1, keepdims=True)
        unit = jnp.where((half_range > 0) & (half_range < jnp.inf), half_range, 1.0)
        depth = ratio(half_gap, unit)
        sigma = standard_deviation(jnp.where(allowed & (depth < jnp.inf), depth, 0.0), allowed, self.sigma)
        reach = jnp.where((sigma > 0) & (half_range < jnp.inf), n * sigma, 0.0)
        return (n <= 0) | (depth <= reach), {"sigma": (2.0 * sigma * unit)[:, 0]}


def standard_deviation(x: jax.Array, allowed: jax.Array, sigma: str) -> jax.Array:
    """Return the standard deviation [B, 1] of the allowed entries of x [B, V] in [0, 1]; 0 of none, and of one."""
    count = jnp.maximum(jnp.sum(allowed, axis=-1, keepdims=True, dtype=jnp.float32), 1.0)
    mean = row_sum(jnp.where(allowed, x, 0.0))[:, None] / count
    freedom = count if sigma == "population" else jnp.maximum(count - 1.0, 1.0)
    return jnp.sqrt(row_sum(jnp.where(allowed, jnp.square(x - mean), 0.0))[:, None] / freedom)


def top_n_sigma(top_n_sigma: ArrayLike, *, sigma: str = "population") -> TopNSigma:
    """Keep the logits within n standard deviations of the maximum.

    Args:
      top_n_sigma: n, standard deviations, scalar or [B]; ≤ 0 is off, neutral 0.
      sigma: the standard deviation of the "population", or the one with "bessel"'s correction.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept, sigma in nats.

    Raises:
      ParameterError: not a number, not one for each row, or another sigma.

    Policy: σ over the allowed set; `≥`; never empty.

    Source: arXiv 2411.07641.

    Example:
      >>> import jax.numpy as jnp
      >>> top_n_sigma(1.0)(jnp.array([4.0, 3.0, 0.0, 1.0]))[0]
      Array([  4.,   3., -inf, -inf], dtype=float32)
    """
    return TopNSigma(real("top_n_sigma", top_n_sigma), option("sigma", sigma, SIGMAS))
