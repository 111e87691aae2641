"""XTC: with probability q, among the tokens with p >= t remove all but the least probable (p-e-w, text-generation-webui PR 6335).

Fewer than two such tokens, or t > 0.5: nothing happens. Ties of the least probable all stay. The coin is handed in, one
uniform a row, so that a draw is a function of its key alone. Never empty; the arg-max need not survive.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from samplerfuzz.samplers.select import ordered, total
from samplerfuzz.samplers.stage import Array, Stage, State, below_peak


def xtc(xtc_threshold: Any, xtc_probability: Any = 1.0, coin: Any = 0.0) -> Stage:
    """Return the stage; `xtc_threshold` in [0, 1], `xtc_probability` in [0, 1], `coin` uniform in [0, 1), scalar or [B].

    >>> import jax.numpy as jnp
    >>> xtc(0.3)(jnp.log(jnp.array([[0.5, 0.3, 0.2]]) + 1e-7))[2]["kept"].tolist()
    [2]
    """
    return Stage(name="xtc", kernel=_kernel, parameters={"xtc_threshold": xtc_threshold, "xtc_probability": xtc_probability, "coin": coin})


def _kernel(z: Array, state: State, *, xtc_threshold: Array, xtc_probability: Array, coin: Array) -> tuple[Array, dict[str, Array]]:
    weights = jnp.exp(below_peak(z))
    top_choice = (weights >= xtc_threshold * total(weights)) & (weights > 0)
    keys = ordered(z)
    least = jnp.where(top_choice, keys, jnp.uint32(0xFFFFFFFF)).min(-1, keepdims=True)
    fired = (coin < xtc_probability) & (xtc_threshold <= 0.5)
    return jnp.where(top_choice & (keys > least) & fired, -jnp.inf, z), {"fired": fired[:, 0]}
