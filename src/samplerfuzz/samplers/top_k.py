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
from jax import lax
from numpy.typing import ArrayLike

from samplerfuzz.samplers.keys import is_short, largest_threshold, sortable
from samplerfuzz.samplers.parameter import column, integer, whole
from samplerfuzz.samplers.pytree import pytree, static
from samplerfuzz.samplers.stage import Cut, Info, least
from samplerfuzz.samplers.ties import TIES, first_of, option
from samplerfuzz.samplers.tiles import count


@pytree
@dataclass(frozen=True)
class TopK(Cut):
    """z_i ≥ the k-th largest."""

    k: Any
    ties: str = static("all")

    @property
    def keeps_ties(self) -> bool:
        """Whether equal tokens stay together."""
        return self.ties == "all"

    def neutral(self, rows: int, vocabulary: int) -> jax.Array:
        """Return where there is nothing to cut: no limit, or one that V does not reach."""
        k = whole(column("top_k", self.k, rows))
        return (k <= 0) | (k >= vocabulary)

    def select(self, z: jax.Array, measured: None) -> tuple[jax.Array, Info]:
        """Find the k-th largest logit by counting, or in a short row by sorting."""
        k = whole(column("top_k", self.k, z.shape[0]))
        off = self.neutral(*z.shape)
        keys = sortable(z)
        if is_short(keys):
            threshold = jnp.take_along_axis(lax.sort(keys, is_stable=False), jnp.clip(z.shape[-1] - k, 0, z.shape[-1] - 1), axis=-1)
        else:
            threshold = largest_threshold(lambda t: count(keys >= t) >= k[:, 0], ~off[:, 0])
        kept = keys >= threshold
        if not self.keeps_ties:
            above = keys > threshold
            kept = above | first_of(keys == threshold, k - count(above)[:, None], self.ties)
        kept |= off
        return kept, {"threshold": jnp.where(off[:, 0], -jnp.inf, least(z, kept))}


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
