"""Locally typical sampling: keep the tokens whose surprisal is nearest the entropy (Meister et al. 2022, arXiv 2202.00666).

Kept: by |−ln p_i − H| ascending, the smallest prefix whose probabilities sum to ≥ τ, or > τ as `crossing` says; the token that crosses τ stays, and
so does every token that ties with its score, unless `ties` cuts them. H = −Σ p ln p in nats over the allowed set, with 0·ln 0 = 0. After temperature when it stands before. The arg-max may go: that
is the technique. Never empty: τ ≤ 0 keeps the nearest token and its ties. Off (neutral): τ ≥ 1. Domain: reals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from samplerfuzz.samplers.keys import sortable
from samplerfuzz.samplers.mass import softmax_weights
from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.probability import information
from samplerfuzz.samplers.pytree import pytree, static
from samplerfuzz.samplers.stage import Filter, Info
from samplerfuzz.samplers.ties import TIES, option
from samplerfuzz.samplers.top_p import CROSSINGS, prefix, share_wanted


@pytree
@dataclass(frozen=True)
class TypicalP(Filter):
    """The smallest set of mass ≥ τ, nearest to the entropy first."""

    tau: Any
    crossing: str = static("reached")
    ties: str = static("all")

    def neutral(self, rows: int, vocabulary: int) -> jax.Array:
        """Return where everything is wanted."""
        return column("typical_p", self.tau, rows) >= 1.0

    def keep(self, z: jax.Array) -> tuple[jax.Array, Info]:
        """Search the threshold on the score as top-p searches it on the logit."""
        tau = column("typical_p", self.tau, z.shape[0])
        wanted = share_wanted(softmax_weights(z), tau, self.crossing)
        kept = prefix(z, self.ranking(z), wanted, (tau < 1.0)[:, 0], self.ties)
        return (tau >= 1.0) | kept, {"entropy": information(z)[1][:, 0]}

    def ranking(self, z: jax.Array) -> jax.Array:
        """Rank by the distance of the surprisal from the entropy."""
        return jnp.where(z == -jnp.inf, jnp.uint32(0), ~sortable(jnp.abs(information(z)[0])))


def typical_p(typical_p: ArrayLike, *, crossing: str = "reached", ties: str = "all") -> TypicalP:
    """Keep the tokens whose surprisal is nearest the entropy.

    Args:
      typical_p: τ, a probability, scalar or [B]; ≥ 1 is off, neutral 1; ≤ 0 keeps the nearest token.
      crossing: the sum at which it is enough: τ "reached", or τ "exceeded".
      ties: "all" whose score ties with the last one stay, or as many of them as it takes, those with the "low" or the "high" ids first.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept, entropy in nats.

    Raises:
      ParameterError: not a number, not one for each row, or another crossing or tie rule.

    Policy: ties of the last score as told; never empty.

    Source: arXiv 2202.00666.

    Example:
      >>> import jax.numpy as jnp
      >>> typical_p(0.2)(jnp.log(jnp.array([0.5, 0.25, 0.15, 0.1])))[0] > -jnp.inf
      Array([False,  True, False, False], dtype=bool)
    """
    return TypicalP(real("typical_p", typical_p), option("crossing", crossing, CROSSINGS), option("ties", ties, TIES))
