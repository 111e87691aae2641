"""Locally typical sampling: sort by |−ln p − H| ascending, keep the smallest prefix of mass >= τ (Meister et al., arXiv 2202.00666).

0 · ln 0 = 0. Ties of the last score stay. τ >= 1: off; τ <= 0: the first. The arg-max need not survive; never empty.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from samplerfuzz.samplers.select import ordered, total
from samplerfuzz.samplers.stage import Array, Stage, State, below_peak
from samplerfuzz.samplers.top_p import nucleus


def typical_p(typical_p: Any) -> Stage:
    """Return the stage that keeps the typical set of mass `typical_p` in (0, 1], scalar or [B]; 1 is off.

    >>> import jax.numpy as jnp
    >>> typical_p(0.2)(jnp.log(jnp.array([[0.5, 0.3, 0.2]])))[2]["kept"].tolist()
    [1]
    """
    return Stage(name="typical_p", kernel=_kernel, parameters={"typical_p": typical_p})


def _kernel(z: Array, state: State, *, typical_p: Array) -> tuple[Array, dict[str, Array]]:
    shifted = below_peak(z)
    weights = jnp.exp(shifted)
    mass = total(weights)
    allowed = z > -jnp.inf
    surprisal = jnp.where(allowed, jnp.log(jnp.maximum(mass, 1e-30)) - shifted, 0)
    entropy = total(jnp.where(weights > 0, weights * surprisal, 0)) / jnp.maximum(mass, 1e-30)
    score = jnp.where(allowed, jnp.abs(surprisal - entropy), jnp.inf)
    return jnp.where(nucleus(ordered(-score), weights, typical_p) & allowed, z, -jnp.inf), {"entropy": entropy[:, 0]}
