"""top-nσ: keep z_i >= max z − n·σ (Tang et al., arXiv 2411.07641).

σ is the population standard deviation over the allowed set. The same set for every T > 0. n <= 0: off. Never empty.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from samplerfuzz.samplers.select import total
from samplerfuzz.samplers.stage import Array, Stage, State, below_peak


def top_n_sigma(top_n_sigma: Any) -> Stage:
    """Return the stage that keeps `top_n_sigma` standard deviations below the maximum, scalar or [B]; 0 is off.

    >>> import jax.numpy as jnp
    >>> top_n_sigma(1.0)(jnp.array([[0.0, 0.0, 0.0, 4.0]]))[2]["kept"].tolist()
    [1]
    """
    return Stage(name="top_n_sigma", kernel=_kernel, parameters={"top_n_sigma": top_n_sigma})


def _kernel(z: Array, state: State, *, top_n_sigma: Array) -> tuple[Array, dict[str, Array]]:
    allowed = z > -jnp.inf
    gap = jnp.where(allowed, -below_peak(z), 0)
    # dividing by the largest gap first keeps the squares from overflowing
    scale = jnp.maximum(gap.max(-1, keepdims=True), 1e-30)
    count = jnp.maximum(allowed.sum(-1, keepdims=True, dtype=jnp.float32), 1)
    relative = gap / scale
    mean = total(relative) / count
    sigma = jnp.sqrt(total(jnp.where(allowed, (relative - mean) ** 2, 0)) / count)
    off = top_n_sigma <= 0
    kept = allowed & ((relative <= jnp.where(off, 1, top_n_sigma) * sigma) | off | (gap == 0))
    return jnp.where(kept, z, -jnp.inf), {"sigma": (sigma * scale)[:, 0]}
