"""top-k: keep the k largest logits (Fan et al. 2018). All ties of the k-th stay.

Before or after a positive temperature alike. k <= 0 or k >= V: off. Never empty.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from samplerfuzz.samplers.select import kth_largest, ordered
from samplerfuzz.samplers.stage import Array, Stage, State


def top_k(top_k: Any) -> Stage:
    """Return the stage that keeps the `top_k` largest; integer, scalar or [B]; 0 is off.

    >>> import jax.numpy as jnp
    >>> top_k(1)(jnp.array([[1.0, 3.0, 2.0]]))[0].tolist()
    [[-inf, 3.0, -inf]]
    """
    return Stage(name="top_k", kernel=_kernel, parameters={"top_k": top_k})


def _kernel(z: Array, state: State, *, top_k: Array) -> tuple[Array, dict[str, Array]]:
    size = z.shape[-1]
    k = jnp.clip(top_k, 0, size).astype(jnp.int32)
    k = jnp.where(k <= 0, size, k)
    keys = ordered(z)
    return jnp.where((keys >= kth_largest(keys, k)) | (k >= size), z, -jnp.inf), {}
