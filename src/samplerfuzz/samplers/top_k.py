"""Top-k: keep the k largest logits (Fan, Lewis, Dauphin 2018, arXiv 1805.04833).

Kept: z_i ≥ the k-th largest logit, so every token that ties with the k-th is kept and more than k may stay; `ties` cuts them to exactly k.
Invariant under temperature T > 0, so it may stand before or after it. At least one token stays. Off (neutral): k ≤ 0, and k ≥ V by its meaning. Domain: integers; a fraction
is cut toward zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from samplerfuzz.samplers.keys import largest_threshold, sortable, value
from samplerfuzz.samplers.parameter import column, integer, whole
from samplerfuzz.samplers.pytree import pytree, static
from samplerfuzz.samplers.stage import Filter, Info
from samplerfuzz.samplers.ties import TIES, first_of, option


@pytree
@dataclass(frozen=True)
class TopK(Filter):
    """z_i ≥ the k-th largest."""

    k: Any
    ties: str = static("all")

    def keep(self, z: jax.Array) -> tuple[jax.Array, Info]:
        """Find the k-th largest logit by counting."""
        k = whole(column("top_k", self.k, z.shape[0]))
        off = (k <= 0) | (k >= z.shape[-1])
        keys = sortable(z)

        def enough(threshold: jax.Array) -> jax.Array:
            return jnp.sum(keys >= threshold, axis=-1, dtype=jnp.int32) >= k[:, 0]

        threshold = largest_threshold(enough, ~off[:, 0])
        kept = keys >= threshold
        if self.ties != "all":
            above = keys > threshold
            kept = above | first_of(keys == threshold, k - jnp.sum(above, axis=-1, keepdims=True, dtype=jnp.int32), self.ties)
        return off | kept, {"threshold": jnp.where(off, -jnp.inf, value(threshold))[:, 0]}


def top_k(top_k: ArrayLike, *, ties: str = "all") -> TopK:
    """Keep the k largest logits.

    Args:
      top_k: k, tokens, scalar or [B]; ≤ 0 or ≥ V is off, neutral 0.
      ties: "all" that tie with the k-th stay, or exactly k tokens, those of them with the "low" or the "high" ids.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept, threshold (the k-th largest logit; −inf when off).

    Raises:
      ParameterError: not a number, not one for each row, or another tie rule.

    Policy: ties of the k-th as told; never empty.

    Source: arXiv 1805.04833.

    Example:
      >>> import jax.numpy as jnp
      >>> top_k(2)(jnp.array([1.0, 3.0, 2.0, 2.0]))[0]
      Array([-inf,   3.,   2.,   2.], dtype=float32)
    """
    return TopK(integer("top_k", top_k), option("ties", ties, TIES))
