"""Logit bias: z_i + b_i (OpenAI API). A masked token stays masked, whatever its bias. Neutral: 0."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from samplerfuzz.samplers.stage import LARGEST, Array, Stage, State


def logit_bias(logit_bias: Any) -> Stage:
    """Return the stage that adds `logit_bias`, a dense array [V] or [B, V].

    >>> import jax.numpy as jnp
    >>> logit_bias(jnp.array([0.0, 2.0, 1.0]))(jnp.array([[1.0, 1.0, -jnp.inf]]))[0].tolist()
    [[1.0, 3.0, -inf]]
    """
    return Stage(name="logit_bias", kernel=_kernel, parameters={"logit_bias": logit_bias})


def _kernel(z: Array, state: State, *, logit_bias: Array) -> tuple[Array, dict[str, Array]]:
    return jnp.where(z > -jnp.inf, jnp.clip(z + logit_bias, -LARGEST, LARGEST), -jnp.inf), {}
