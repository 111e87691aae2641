"""Top-p, nucleus sampling: keep the smallest set of largest probabilities whose sum reaches p (Holtzman et al. 2020, arXiv 1904.09751).

Kept: from the largest probability down until the sum is ≥ p, or > p as `crossing` says; the token that crosses p stays, and so does every token
that ties with it, unless `ties` cuts them. The probabilities are those of the logits that arrive: after temperature when it stands before, renormalised over what earlier stages left.
Never empty: p ≤ 0 keeps the arg-max and its ties, and so does any p that the arg-max alone reaches. Off (neutral): p ≥ 1. Domain: reals.

The sum is exact to V·2⁻⁴⁴ (module mass), far inside the 3e-6 by which float32 sums have been seen to move this threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from numpy.typing import ArrayLike

from samplerfuzz.samplers.keys import largest_threshold, sortable, value
from samplerfuzz.samplers.mass import Weights, softmax_weights, total
from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.pytree import pytree, static
from samplerfuzz.samplers.stage import Filter, Info
from samplerfuzz.samplers.ties import TIES, first_of, option, until
from samplerfuzz.samplers.wide import Wide, add, at_least, fraction, share

CROSSINGS = ("reached", "exceeded")


@pytree
@dataclass(frozen=True)
class TopP(Filter):
    """The smallest set of mass ≥ p."""

    p: Any
    crossing: str = static("reached")
    ties: str = static("all")

    def keep(self, z: jax.Array) -> tuple[jax.Array, Info]:
        """Find the largest logit threshold above which there is enough mass."""
        p = column("top_p", self.p, z.shape[0])
        keys = sortable(z)
        threshold = reaching(z, keys, p, self.crossing)
        kept = prefix(z, keys, p, threshold, self.crossing, self.ties)
        return (p >= 1.0) | kept, {"threshold": jnp.where(p >= 1.0, -jnp.inf, value(threshold))[:, 0]}


def prefix(z: jax.Array, keys: jax.Array, p: jax.Array, threshold: jax.Array, crossing: str, ties: str) -> jax.Array:
    """Return what lies above the threshold, bool [B, V], and of the tokens at it those that `ties` lets stay."""
    if ties == "all":
        return keys >= threshold
    w = softmax_weights(z)
    above, tied = keys > threshold, keys == threshold
    first = ~jnp.any(above, axis=-1, keepdims=True) & first_of(tied, jnp.ones_like(p, jnp.int32), ties)
    return above | first | until(tied, above, w, _wanted(w, p, crossing), ties)


def _wanted(w: Weights, p: jax.Array, crossing: str) -> Wide:
    """Return the least sum [B] that is enough: the share p [B, 1], or the next larger one when it has to be exceeded."""
    wanted = share(fraction(jnp.clip(p[:, 0], 0.0, jnp.float32(1.0 - 2.0**-24))), total(w))
    return wanted if crossing == "reached" else add(wanted, Wide(jnp.uint32(0), jnp.uint32(1)))


def reaching(z: jax.Array, keys: jax.Array, p: jax.Array, crossing: str = "reached") -> jax.Array:
    """Return the largest threshold uint32 [B, 1] on `keys` whose set has the share p [B, 1] of softmax(z); at most the largest key.

    Where p ≥ 1 the threshold means nothing, and when all rows have that nothing is computed.
    """
    on = (p < 1.0)[:, 0]

    def search() -> jax.Array:
        w = softmax_weights(z)
        wanted = _wanted(w, p, crossing)
        threshold = largest_threshold(lambda t: at_least(total(w, keys >= t), wanted), on)
        return jnp.minimum(threshold, jnp.max(keys, axis=-1, keepdims=True))

    return lax.cond(jnp.any(on), search, lambda: jnp.zeros(p.shape, jnp.uint32))


def top_p(top_p: ArrayLike, *, crossing: str = "reached", ties: str = "all") -> TopP:
    """Keep the smallest set of largest probabilities whose sum reaches p.

    Args:
      top_p: p, a probability, scalar or [B]; ≥ 1 is off, neutral 1; ≤ 0 keeps the arg-max.
      crossing: the sum at which it is enough: p "reached", or p "exceeded". They differ where a sum is p exactly.
      ties: "all" that tie with the crossing token stay, or as many of them as it takes, those with the "low" or the "high" ids first.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept, threshold (the least logit kept; −inf when off).

    Raises:
      ParameterError: not a number, not one for each row, or another crossing or tie rule.

    Policy: the crossing token is kept, its ties as told; never empty.

    Source: arXiv 1904.09751.

    Example:
      >>> import jax.numpy as jnp
      >>> top_p(0.6)(jnp.log(jnp.array([0.5, 0.25, 0.125, 0.125])))[0] > -jnp.inf
      Array([ True,  True, False, False], dtype=bool)
    """
    return TopP(real("top_p", top_p), option("crossing", crossing, CROSSINGS), option("ties", ties, TIES))
