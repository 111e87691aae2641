"""Top-nσ: keep what lies within n standard deviations of the maximum logit (Tang et al. 2024, arXiv 2411.07641).

Kept: z_i ≥ max z − n·σ, `≥`, so ties are all kept; σ is the standard deviation of the logits of the allowed set (−∞ entries do not count): of the
population, or with Bessel's correction as `sigma` says.
The same set for every temperature T > 0, so it may stand before or after it. Never empty: the maximum is always kept.
Off (neutral): n ≤ 0. Domain: reals. In a row with +inf logits these alone stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from samplerfuzz.samplers.mass import half_difference, ratio, unit_sum
from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.pytree import pytree, static
from samplerfuzz.samplers.stage import Cut, Info
from samplerfuzz.samplers.ties import option
from samplerfuzz.samplers.tiles import count

SIGMAS = ("population", "bessel")


@pytree
@dataclass(frozen=True)
class TopNSigma(Cut):
    """z_i ≥ max z − n·σ."""

    n: Any
    sigma: str = static("population")

    def neutral(self, rows: int, vocabulary: int) -> jax.Array:
        """Return where no deviation is asked for."""
        return column("top_n_sigma", self.n, rows) <= 0

    def measure(self, z: jax.Array) -> Spread:
        """Measure in units of the range, where neither the range nor a square overflows."""
        allowed = z > -jnp.inf
        half_gap = half_below_max(z)
        half_range = jnp.max(jnp.where(allowed, half_gap, 0.0), axis=-1, keepdims=True)
        unit = jnp.where((half_range > 0) & (half_range < jnp.inf), half_range, 1.0)
        depth = ratio(half_gap, unit)
        sigma = standard_deviation(jnp.where(allowed & (depth < jnp.inf), depth, 0.0), allowed, self.sigma)
        return Spread(unit=unit, sigma=sigma, bounded=half_range < jnp.inf)

    def select(self, z: jax.Array, measured: Spread) -> tuple[jax.Array, Info]:
        """Compare depths below the maximum."""
        n = column("top_n_sigma", self.n, z.shape[0])
        depth = ratio(half_below_max(z), measured.unit)
        reach = jnp.where((measured.sigma > 0) & measured.bounded, n * measured.sigma, 0.0)
        return self.neutral(*z.shape) | (depth <= reach), {"sigma": (2.0 * measured.sigma * measured.unit)[:, 0]}


class Spread(NamedTuple):
    """The standard deviation of a row."""

    unit: jax.Array  # [B, 1] half the range, or 1
    sigma: jax.Array  # [B, 1] in units
    bounded: jax.Array  # [B, 1] bool: no allowed logit is +inf beside a smaller one


def half_below_max(z: jax.Array) -> jax.Array:
    """Return half of what each logit lies below the largest."""
    top = jnp.max(z, axis=-1, keepdims=True)
    return jnp.where(z == top, 0.0, half_difference(top, z))


def standard_deviation(x: jax.Array, allowed: jax.Array, sigma: str) -> jax.Array:
    """Return the standard deviation [B, 1] of the allowed entries of x [B, V] in [0, 1]; 0 of none, and of one."""
    number = jnp.maximum(count(allowed), 1).astype(jnp.float32)[:, None]
    mean = unit_sum(jnp.where(allowed, x, 0.0))[:, None] / number
    freedom = number if sigma == "population" else jnp.maximum(number - 1.0, 1.0)
    return jnp.sqrt(unit_sum(jnp.where(allowed, jnp.square(x - mean), 0.0))[:, None] / freedom)


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
