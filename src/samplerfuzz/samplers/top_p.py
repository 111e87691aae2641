"""Top-p, nucleus sampling: keep the smallest set of largest probabilities whose sum reaches p (Holtzman et al. 2020, arXiv 1904.09751).

Kept: from the largest probability down until the sum is ≥ p, or > p as `crossing` says; the token that crosses p stays, and so does every token
that ties with it, unless `ties` cuts them. The probabilities are those of the logits that arrive: after temperature when it stands before, renormalised over what earlier stages left.
Never empty: p ≤ 0 keeps the arg-max and its ties, and so does any p that the arg-max alone reaches. Off (neutral): p ≥ 1. Domain: reals.

The sum is exact to V·2⁻⁴⁵ (module mass), far inside the 3e-6 by which float32 sums have been seen to move this threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from numpy.typing import ArrayLike

from samplerfuzz.samplers.keys import is_short, largest_threshold, sortable
from samplerfuzz.samplers.mass import Weights, mass_above, softmax_weights, total
from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.pytree import pytree, static
from samplerfuzz.samplers.stage import Cut, Info, least
from samplerfuzz.samplers.ties import TIES, first_of, option, until
from samplerfuzz.samplers.wide import Wide, add, at_least, fraction, share

CROSSINGS = ("reached", "exceeded")


@pytree
@dataclass(frozen=True)
class TopP(Cut):
    """The smallest set of mass ≥ p."""

    p: Any
    crossing: str = static("reached")
    ties: str = static("all")

    @property
    def keeps_ties(self) -> bool:
        """Whether equal tokens stay together."""
        return self.ties == "all"

    def neutral(self, rows: int, vocabulary: int) -> jax.Array:
        """Return where everything is wanted."""
        return column("top_p", self.p, rows) >= 1.0

    def measure(self, z: jax.Array) -> Wide:
        """Return the mass that is wanted, in units."""
        p = column("top_p", self.p, z.shape[0])
        nothing = jnp.zeros(z.shape[:1], jnp.uint32)
        return lax.cond(jnp.any(p < 1.0), lambda: share_wanted(softmax_weights(z), p, self.crossing), lambda: Wide(nothing, nothing))

    def select(self, z: jax.Array, measured: Wide) -> tuple[jax.Array, Info]:
        """Find the largest logit threshold above which there is enough mass."""
        off = self.neutral(*z.shape)
        kept = off | prefix(z, sortable(z), measured, ~off[:, 0], self.ties)
        return kept, {"threshold": jnp.where(off[:, 0], -jnp.inf, least(z, kept))}


def share_wanted(w: Weights, p: jax.Array, crossing: str) -> Wide:
    """Return the least sum [B] in units that is enough: the share p [B, 1] cut to [0, 1), or the next larger one when it has to be exceeded; not nothing."""
    part = share(fraction(jnp.clip(p[:, 0], 0.0, jnp.float32(1.0 - 2.0**-24))), total(w))
    if crossing == "exceeded":
        return add(part, Wide(jnp.uint32(0), jnp.uint32(1)))
    return Wide(part.high, jnp.where(part.high == 0, jnp.maximum(part.low, 1), part.low))


def prefix(z: jax.Array, keys: jax.Array, wanted: Wide, active: jax.Array, ties: str) -> jax.Array:
    """Return the tokens bool [B, V] of the largest keys uint32 [B, V] whose softmax(z) sums to the `wanted` units [B], and of the last ones those that `ties` lets stay.

    Of rows that are not `active` [B] nobody will use the answer. When none is active nothing is computed.
    """

    def search() -> jax.Array:
        w = softmax_weights(z)
        if is_short(keys):
            enough = ~at_least(mass_above(keys, w), Wide(wanted.high[:, None], wanted.low[:, None]))
            threshold = jnp.min(jnp.where(enough, keys, jnp.uint32(0xFFFFFFFF)), axis=-1, keepdims=True)
        else:
            threshold = largest_threshold(lambda t: at_least(total(w.where(keys >= t)), wanted), active)
        if ties == "all":
            return keys >= threshold
        above, tied = keys > threshold, keys == threshold
        first = ~jnp.any(above, axis=-1, keepdims=True) & first_of(tied, jnp.ones((z.shape[0], 1), jnp.int32), ties)
        return above | first | until(tied, above, w, wanted, ties)

    return lax.cond(jnp.any(active), search, lambda: jnp.ones(keys.shape, bool))


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
