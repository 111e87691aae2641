"""top-p: keep the smallest set of the most probable tokens whose mass is at least P (Holtzman et al. 2020).

The crossing token stays, and what ties with it. The mass is measured on what earlier stages left. P >= 1: off.
P <= 0: the arg-max. Never empty.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from samplerfuzz.samplers.select import ordered, prefix_threshold, total
from samplerfuzz.samplers.stage import Array, Stage, State, below_peak


def top_p(top_p: Any) -> Stage:
    """Return the stage that keeps the nucleus of mass `top_p` in (0, 1], scalar or [B]; 1 is off.

    >>> import jax.numpy as jnp
    >>> top_p(0.6)(jnp.log(jnp.array([[0.5, 0.25, 0.25]])))[2]["kept"].tolist()
    [3]
    """
    return Stage(name="top_p", kernel=_kernel, parameters={"top_p": top_p})


def _kernel(z: Array, state: State, *, top_p: Array) -> tuple[Array, dict[str, Array]]:
    weights = jnp.exp(below_peak(z))
    return jnp.where(nucleus(ordered(z), weights, top_p), z, -jnp.inf), {}


def nucleus(keys: Array, weights: Array, mass: Array) -> Array:
    """Return [B, V] bool: the prefix, by descending key, that first holds the share `mass` [B, 1] of the weights."""
    target = jnp.maximum(jnp.clip(mass, 0, 1) * total(weights), jnp.float32(1e-30))
    return (keys >= prefix_threshold(keys, weights, target)) | (mass >= 1)
