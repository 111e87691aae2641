"""XTC, exclude top choices: sometimes remove all top choices but the least probable (p-e-w, text-generation-webui pull request 6335).

With probability q, a coin a row: among the tokens with p_i ≥ t, or > t as `choice` says, remove all but the least probable. Nothing when fewer than two
qualify, so t > 0.5 does nothing. All tokens that tie for the least probable stay, so that renaming tokens changes nothing, unless `ties` leaves one. p is
that of the logits that arrive: after temperature when it stands before. Never empty; where fewer than `min_tokens_to_keep` would be left nothing is removed
(llama.cpp). Off (neutral): q ≤ 0. q ≥ 1 always fires. t ≤ 0: every allowed token qualifies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.samplers.keys import sortable
from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.probability import probabilities
from samplerfuzz.samplers.pytree import pytree, static
from samplerfuzz.samplers.stage import Filter, Info
from samplerfuzz.samplers.ties import TIES, first_of, option

CHOICES = ("at_least", "above")


@pytree
@dataclass(frozen=True)
class Xtc(Filter):
    """Remove the top choices but the last of them."""

    threshold: Any
    probability: Any
    coin: Any
    key: Any
    choice: str = static("at_least")
    ties: str = static("all")

    def keep(self, z: jax.Array) -> tuple[jax.Array, Info]:
        """Toss the coin of each row and remove what lies above the least probable top choice."""
        rows = z.shape[0]
        threshold = column("xtc_threshold", self.threshold, rows)
        fires = self.fires(rows)
        p = probabilities(z)
        top_choice = (p >= threshold if self.choice == "at_least" else p > threshold) & (z > -jnp.inf)
        keys = sortable(z)
        least = jnp.min(jnp.where(top_choice, keys, np.uint32(0xFFFFFFFF)), axis=-1, keepdims=True)
        spared = top_choice & (keys == least)
        if self.ties != "all":
            spared = first_of(spared, jnp.ones((rows, 1), jnp.int32), self.ties)
        return ~(fires & top_choice & ~spared), {"fired": fires[:, 0]}

    def spare(self, z: jax.Array, kept: jax.Array, count: jax.Array) -> jax.Array:
        """Remove nothing where too few would be left: there is no order in which a part of the top choices could stay."""
        left = jnp.sum(kept & (z > -jnp.inf), axis=-1, keepdims=True, dtype=jnp.int32)
        return kept | (left < count)

    def fires(self, rows: int) -> jax.Array:
        """Return which coins [B, 1] say so."""
        return column("coin", self.coins(rows), rows) < column("xtc_probability", self.probability, rows)

    def neutral(self, rows: int, vocabulary: int) -> jax.Array:
        """Return where the coin says no."""
        return ~self.fires(rows)

    def coins(self, rows: int) -> Any:
        """Return the coins: as given, or tossed, one a row."""
        return self.coin if self.key is None else jax.random.uniform(self.key, (rows,), jnp.float32)

    def per_row(self, rows: int) -> Xtc:
        """Toss the coins now: which rows are taken later does not change them."""
        return super(Xtc, replace(self, coin=self.coins(rows), key=None)).per_row(rows)


def xtc(
    xtc_threshold: ArrayLike,
    xtc_probability: ArrayLike = 1.0,
    *,
    coin: ArrayLike | None = None,
    key: jax.Array | None = None,
    choice: str = "at_least",
    ties: str = "all",
) -> Xtc:
    """Sometimes remove all top choices but the least probable.

    Args:
      xtc_threshold: t, the probability that makes a top choice, scalar or [B]; > 0.5 does nothing, neutral 1.
      xtc_probability: q, the probability that the technique fires, scalar or [B]; ≤ 0 is off, neutral 0; ≥ 1 always fires.
      coin: uniform numbers in [0, 1), scalar or [B]; a row fires when its coin is below q. Neither coin nor key: as coin 0, it fires wherever q > 0.
      key: a JAX random key to toss the coins with, in place of `coin`.
      choice: a top choice has "at_least" the threshold, or is "above" it.
      ties: "all" that tie for the least probable top choice stay, or the one with the "low" or the "high" id.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept, fired.

    Raises:
      ParameterError: not a number, not one for each row, both `coin` and `key`, or another choice or tie rule.

    Policy: ties of the least probable top choice as told; never empty.

    Source: text-generation-webui pull request 6335.

    Example:
      >>> import jax.numpy as jnp
      >>> logits = jnp.log(jnp.array([0.5, 0.3, 0.15, 0.05]))
      >>> xtc(0.1, 0.5, coin=0.2)(logits)[0] > -jnp.inf
      Array([False, False,  True,  True], dtype=bool)
    """
    if coin is not None and key is not None:
        raise ParameterError("xtc was given both coin and key; expected one of them")
    tossed = real("coin", 0.0 if coin is None else coin)
    return Xtc(
        real("xtc_threshold", xtc_threshold),
        real("xtc_probability", xtc_probability),
        tossed,
        key,
        option("choice", choice, CHOICES),
        option("ties", ties, TIES),
    )
