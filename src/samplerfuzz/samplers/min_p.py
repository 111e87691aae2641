"""min-p: keep p_i >= a · p_max, that is z_i >= max z + ln a (Nguyen et al., arXiv 2407.01082).

a <= 0: off. a > 1: the maximum and its ties. Never empty.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from samplerfuzz.samplers.stage import Array, Stage, State, below_peak


def min_p(min_p: Any) -> Stage:
    """Return the stage that keeps the share `min_p` in [0, 1] of the largest probability, scalar or [B]; 0 is off.

    >>> import jax.numpy as jnp
    >>> min_p(0.5)(jnp.log(jnp.array([[0.5, 0.3, 0.2]])))[2]["kept"].tolist()
    [2]
    """
    return Stage(name="min_p", kernel=_kernel, parameters={"min_p": min_p})


def _kernel(z: Array, state: State, *, min_p: Array) -> tuple[Array, dict[str, Array]]:
    off = min_p <= 0
    cut = jnp.log(jnp.where(off, 1, jnp.minimum(min_p, 1)))
    return jnp.where((below_peak(z) >= cut) | off, z, -jnp.inf), {}
