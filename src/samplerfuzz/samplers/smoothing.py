"""Smoothing, or quadratic sampling: bend the logits below the maximum by a square and a cube (kalomaze, text-generation-webui pull requests 5403 and 5551).

With δ = z − max z: z' = −k·f·δ² + s·f·δ³, k = (3 − c)/2, s = (c − 1)/2, up to a constant a row: the maximum stands at 0. c = 1 is the square alone,
c = 3 the cube alone. The order of the logits stays for 1 ≤ c ≤ 3; outside, the formula is applied as it stands. Before or after temperature
is not alike; koboldcpp has it right after. No token is removed; a masked token stays masked; what would fall below the least float32 becomes it. Off
(neutral): f ≤ 0. Domain: reals. A row with +inf logits stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from samplerfuzz.samplers.mass import below_max
from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Info, Stage, State, finite


@pytree
@dataclass(frozen=True)
class Smoothing(Stage):
    """−k·f·δ² + s·f·δ³."""

    factor: Any
    curve: Any

    masked_is_deleted: ClassVar[bool] = True

    def process(self, z: jax.Array, state: State | None) -> tuple[jax.Array, Info]:
        """Bend, in an order of multiplication in which no infinity meets a zero."""
        factor = column("smoothing_factor", self.factor, z.shape[0])
        curve = column("smoothing_curve", self.curve, z.shape[0])
        square, cube = 1.5 - 0.5 * curve, 0.5 * curve - 0.5
        gap = jnp.where(z == -jnp.inf, 0.0, jnp.maximum(below_max(z), jnp.finfo(jnp.float32).min))
        on = (factor >= jnp.finfo(jnp.float32).tiny) & (jnp.max(z, axis=-1, keepdims=True) < jnp.inf)
        bent = (factor * gap) * (gap * (cube * gap - square))
        return jnp.where(on, finite(bent, z), z), {}


def smoothing(smoothing_factor: ArrayLike, smoothing_curve: ArrayLike = 1.0) -> Smoothing:
    """Bend the logits below the maximum by a square and a cube.

    z' = −k·f·δ² + s·f·δ³, δ = z − max z.

    Args:
      smoothing_factor: f, per nat, scalar or [B]; ≤ 0 is off, neutral 0.
      smoothing_curve: c, scalar or [B]; 1 the square alone, 3 the cube alone.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept.

    Raises:
      ParameterError: not a number, or not one for each row.

    Policy: the maximum stands at 0; masked stays masked; +inf logits stay as they are.

    Source: text-generation-webui pull requests 5403 and 5551.

    Example:
      >>> import jax.numpy as jnp
      >>> smoothing(0.5, 2.0)(jnp.array([3.0, 2.0, 1.0, -jnp.inf]))[0]
      Array([-0. , -0.5, -3. , -inf], dtype=float32)
    """
    return Smoothing(real("smoothing_factor", smoothing_factor), real("smoothing_curve", smoothing_curve))
