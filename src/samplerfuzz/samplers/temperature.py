"""Temperature: z/T for every real T, with β = 1/T as the natural variable.

T > 0 ordinary, T → 0⁺ arg-max, T = ±∞ uniform over the allowed set, T < 0 inverted, T → 0⁻ arg-min of the allowed set. T = 0 (either
sign) is greedy: all but the arg-max is masked, ties to the lowest id. T = 1 is neutral and changes no bit.

The mask is applied after the division: a token that came in masked never comes out, for any T ≠ 0.
Other than at T = 1 and T = 0 the result is z/T up to a constant a row: −|z − a|/|T|, a = max z for T > 0 and min z for T < 0, so that the
most probable token stands at 0. That keeps the digits that z/T rounds away, and nothing overflows to +inf or NaN; what would fall below
the least float32 becomes it, so order is kept as far as float32 has numbers for it. Techniques that are not shift invariant
(repetition_penalty) belong before temperature, where every engine has them.

Source: Boltzmann distribution; negative T after J. Kauffman 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import ArrayLike

from samplerfuzz.samplers.greedy import arg_max_only
from samplerfuzz.samplers.mass import half_difference, ratio
from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Info, Stage, State

_LEAST_NORMAL_BITS = 0x00800000
_NEGATIVE_ZERO = np.uint32(0x80000000)


@pytree
@dataclass(frozen=True)
class Temperature(Stage):
    """z/T."""

    value: Any

    masked_is_deleted: ClassVar[bool] = True

    def rises(self, rows: int) -> jax.Array:
        """Return where T is not below zero; at 0 all but the largest fall to −inf."""
        bits = lax.bitcast_convert_type(column("temperature", self.value, rows), jnp.uint32)
        return bits <= _NEGATIVE_ZERO  # by bits: a subnormal T is smaller than 0 or larger, not equal to it

    def process(self, z: jax.Array, state: State | None) -> tuple[jax.Array, Info]:
        """Divide, whatever the sign; see the module."""
        return divided(z, column("temperature", self.value, z.shape[0])), {}


def divided(z: jax.Array, t: jax.Array) -> jax.Array:
    """Return z [B, V] divided by t [B, 1], as the module says."""
    bits = lax.bitcast_convert_type(t, jnp.uint32)
    magnitude = bits & jnp.uint32(0x7FFFFFFF)
    least = jnp.min(jnp.where(z == -jnp.inf, jnp.inf, z), axis=-1, keepdims=True)
    anchor = jnp.where(bits != magnitude, least, jnp.max(z, axis=-1, keepdims=True))
    ratios = jnp.where(t == 1.0, z, finite_ratio(z, anchor, magnitude))
    return jnp.where(magnitude == 0, arg_max_only(z), ratios)


def finite_ratio(z: jax.Array, anchor: jax.Array, magnitude: jax.Array) -> jax.Array:
    """Return −|z − anchor|/|T| from the bits of |T|: finite, 0 at the anchor, without help from subnormal arithmetic."""
    subnormal = magnitude < jnp.uint32(_LEAST_NORMAL_BITS)
    # subnormal divisors are flushed to zero by most hardware: scale both sides by 2⁴⁸
    scaled = magnitude.astype(jnp.float32) * jnp.float32(2.0 ** (48 - 149))
    divisor = jnp.where(subnormal, scaled, lax.bitcast_convert_type(magnitude, jnp.float32))
    gap = jnp.abs(z - anchor)
    half = jnp.abs(half_difference(z, anchor))
    raised = gap * jnp.where(subnormal, jnp.float32(2.0**48), 1.0)
    divided = jnp.where(gap < jnp.inf, ratio(raised, divisor), 2.0 * ratio(half, divisor))
    divided = jnp.where((z == anchor) | (divisor == jnp.inf), 0.0, divided)
    return jnp.maximum(-divided, jnp.finfo(jnp.float32).min)


def temperature(temperature: ArrayLike) -> Temperature:
    """Divide the logits by the temperature.

    z' = z/T up to a constant a row.

    Args:
      temperature: T, any real number, ±inf too, scalar or [B]; neutral 1.

    Returns:
      A stage; logits float32 of the shape given.

    Raises:
      ParameterError: not a number, or not one for each row (NaN is a number here: it makes its row NaN).

    Policy: T = 0 greedy, ties to the lowest id; masked stays masked; +inf logits share everything for T > 0.

    Source: see the module.

    Example:
      >>> import jax.numpy as jnp
      >>> temperature(-0.5)(jnp.array([1.0, 2.0, -jnp.inf]))[0]
      Array([ -0.,  -2., -inf], dtype=float32)
    """
    return Temperature(real("temperature", temperature))
