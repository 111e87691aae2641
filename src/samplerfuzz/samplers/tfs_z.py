"""Tail-free sampling: cut the sorted probabilities where their curvature is used up (Trenton Bricken 2019, "Tail Free Sampling").

With p sorted descending, d_i = |p_i − 2p_{i+1} + p_{i+2}|. Kept: what stands before the first token of the three at which the running sum of d first
exceeds z·Σd, and every token that ties with the last of it (llama.cpp and koboldcpp; the author's code keeps two tokens more, other ports one).
The probabilities are those of the logits that arrive: after temperature when it stands before, renormalised over what earlier stages left.
Masked tokens are no part of the curve. Never empty: the arg-max and its ties stay. Off (neutral): z ≥ 1, and rows of two tokens or
fewer. Where the row has no curvature nothing is removed. Domain: reals; z ≤ 0 keeps the arg-max when the row has any curvature there.

The curvature is made of gaps between neighbours in the sorted row, of all of them: no threshold search sees these, and finding them is sorting
(the gaps between neighbours tell whether two numbers of a row are equal, which takes V log V comparisons). So this technique, alone of all, sorts the
row: one float32 array, keys only, and nothing at all when it is off in every row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from numpy.typing import ArrayLike

from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.probability import probabilities
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Filter, Info


@pytree
@dataclass(frozen=True)
class TfsZ(Filter):
    """What stands before the share z of the curvature."""

    z: Any

    def keep(self, z: jax.Array) -> tuple[jax.Array, Info]:
        """Sort, sum the curvature and cut."""
        share = column("tfs_z", self.z, z.shape[0])
        count = jnp.sum(z > -jnp.inf, axis=-1, keepdims=True, dtype=jnp.int32)
        on = (share < 1.0) & (count > 2)
        if z.shape[-1] <= 2:
            return jnp.ones(z.shape, bool), {}

        def cut() -> jax.Array:
            p = probabilities(z)
            fallen = -jnp.sort(-p, axis=-1)
            slope = fallen[:, :-1] - fallen[:, 1:]
            spans = jnp.arange(z.shape[-1] - 2, dtype=jnp.int32)[None] < count - 2
            bend = jnp.where(spans, jnp.abs(slope[:, :-1] - slope[:, 1:]), 0.0)
            used = jnp.cumsum(bend, axis=-1)
            total = used[:, -1:]
            before = jnp.sum(spans & (used <= share * total), axis=-1, keepdims=True, dtype=jnp.int32)
            last = jnp.take_along_axis(fallen, jnp.maximum(before - 1, 0), axis=-1)
            return (p >= last) | (total <= 0)

        return ~on | lax.cond(jnp.any(on), cut, lambda: jnp.ones(z.shape, bool)), {}


def tfs_z(tfs_z: ArrayLike) -> TfsZ:
    """Cut the tail where the curvature of the sorted probabilities is used up.

    c = #{i : Σ_{j ≤ i} d_j ≤ z·Σd}, d_i = |p_i − 2p_{i+1} + p_{i+2}|; the c largest are kept.

    Args:
      tfs_z: z, a share, scalar or [B]; ≥ 1 is off, neutral 1.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept.

    Raises:
      ParameterError: not a number, or not one for each row.

    Policy: ties of the last token are kept; at least the arg-max; rows without curvature stay whole.

    Source: trentonbricken.com/Tail-Free-Sampling.

    Example:
      >>> import jax.numpy as jnp
      >>> tfs_z(0.9)(jnp.log(jnp.array([0.4, 0.35, 0.2, 0.03, 0.02])))[0] > -jnp.inf  # d = 0.1, 0.02, 0.16
      Array([ True,  True, False, False, False], dtype=bool)
    """
    return TfsZ(real("tfs_z", tfs_z))
