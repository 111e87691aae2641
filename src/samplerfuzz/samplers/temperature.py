"""Temperature: z / T for every real T, mask applied after the division.

T > 0 ordinary, T -> 0+ arg-max, T = ±inf uniform over the allowed set, T < 0 inverted, T -> 0- arg-min of the allowed
set, T = 0 greedy (ties to the lowest id). Neutral: 1. Never empty. Source: Boltzmann; D. Kauffman 2023 for T < 0.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from samplerfuzz.samplers.greedy import only_the_best
from samplerfuzz.samplers.stage import LARGEST, Array, Stage, State

_TINY = 1.1754944e-38


def temperature(temperature: Any) -> Stage:
    """Return the stage z / `temperature`; any real number, scalar or [B].

    >>> import jax.numpy as jnp
    >>> temperature(-1.0)(jnp.array([[1.0, 2.0, -jnp.inf]]))[0].tolist()
    [[-0.0, -1.0, -inf]]
    """
    return Stage(name="temperature", kernel=_kernel, parameters={"temperature": temperature})


def _kernel(z: Array, state: State, *, temperature: Array) -> tuple[Array, dict[str, Array]]:
    # signs and zeros are read off the bits: XLA on the CPU takes a denormal for zero
    bits = jax.lax.bitcast_convert_type(temperature, jnp.uint32)
    negative = bits >= jnp.uint32(0x80000000)
    zero = (bits & jnp.uint32(0x7FFFFFFF)) == 0
    divisor = jnp.where(negative, jnp.minimum(temperature, -_TINY), jnp.maximum(temperature, _TINY))
    allowed = z > -jnp.inf
    high = jnp.where(allowed, z, -LARGEST).max(-1, keepdims=True)
    low = jnp.where(allowed, z, LARGEST).min(-1, keepdims=True)
    distance = jnp.clip(z - jnp.where(negative, low, high), -LARGEST, LARGEST)
    divided = jnp.where(allowed, jnp.clip(distance / divisor, -LARGEST, 0), -jnp.inf)
    return jnp.where(zero, only_the_best(z), divided), {}
