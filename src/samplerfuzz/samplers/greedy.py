"""Greedy: the arg-max, ties to the lowest id. Never empty; a row without an allowed token stays empty."""

from __future__ import annotations

import jax.numpy as jnp

from samplerfuzz.samplers.select import ordered
from samplerfuzz.samplers.stage import Array, Stage, State


def greedy() -> Stage:
    """Return the stage that keeps the arg-max only.

    >>> import jax.numpy as jnp
    >>> greedy()(jnp.array([[1.0, 3.0, 3.0]]))[0].tolist()
    [[-inf, 3.0, -inf]]
    """
    return Stage(name="greedy", kernel=_kernel, parameters={})


def only_the_best(z: Array) -> Array:
    """Mask all but the arg-max of each row [B, V]."""
    best = jnp.argmax(ordered(z), -1, keepdims=True)
    return jnp.where(jnp.arange(z.shape[-1], dtype=best.dtype)[None, :] == best, z, -jnp.inf)


def _kernel(z: Array, state: State) -> tuple[Array, dict[str, Array]]:
    return only_the_best(z), {}
