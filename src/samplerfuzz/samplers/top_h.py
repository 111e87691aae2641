"""Top-H: keep the largest set of largest probabilities whose entropy is at most a share of the row's (Baghaei Potraghloo et al. 2025, arXiv 2509.02510).

Kept: from the largest probability down as long as H(p_S / Σ p_S) ≤ α·H(p), the entropy of what is kept, renormalised; the last token that fits brings its
ties with it. That entropy grows with every token, so the set is found by searching its least logit, as in top-p. The probabilities are
those of the logits that arrive: after temperature when it stands before, renormalised over what earlier stages left. Never empty: one token has no
entropy, so the arg-max and its ties stay. Off (neutral): α ≥ 1. α ≤ 0 keeps the arg-max. Domain: reals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from numpy.typing import ArrayLike

from samplerfuzz.samplers.keys import largest_threshold, sortable
from samplerfuzz.samplers.mass import below_max, row_sum
from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Filter, Info


@pytree
@dataclass(frozen=True)
class TopH(Filter):
    """The largest set of entropy ≤ α·H(p)."""

    alpha: Any

    def keep(self, z: jax.Array) -> tuple[jax.Array, Info]:
        """Search the largest logit threshold at which the entropy is too much, and see whether one token more still fits."""
        alpha = column("top_h", self.alpha, z.shape[0])
        on = alpha < 1.0
        keys = sortable(z)

        def search() -> jax.Array:
            gap = -below_max(z)
            weight = jnp.exp(-gap)
            terms = jnp.where(weight > 0, weight * gap, 0.0)
            limit = jnp.maximum(alpha, 0.0) * _entropy(row_sum(weight), row_sum(terms))[:, None]

            def sums(selected: jax.Array) -> tuple[jax.Array, jax.Array]:
                return row_sum(jnp.where(selected, weight, 0.0)), row_sum(jnp.where(selected, terms, 0.0))

            threshold = largest_threshold(lambda t: _entropy(*sums(keys >= t)) > limit[:, 0], on[:, 0])
            mass, sum_of_terms = sums(keys > threshold)
            one_more = mass + jnp.max(jnp.where(keys == threshold, weight, 0.0), axis=-1)
            fits = _entropy(one_more, sum_of_terms + jnp.max(jnp.where(keys == threshold, terms, 0.0), axis=-1))[:, None] <= limit
            return jnp.where(fits, keys >= threshold, keys > threshold)

        kept = lax.cond(jnp.any(on), search, lambda: jnp.ones(z.shape, bool))
        return ~on | kept, {}


def _entropy(mass: jax.Array, sum_of_terms: jax.Array) -> jax.Array:
    """Return the entropy [B] of weights e^−g normalised, from Σ e^−g and Σ g·e^−g; 0 of nothing."""
    divisor = jnp.where(mass > 0, mass, 1.0)
    return jnp.log(divisor) + sum_of_terms / divisor


def top_h(top_h: ArrayLike) -> TopH:
    """Keep the largest set of largest probabilities whose entropy is at most a share of the row's.

    H(p_S / Σ p_S) ≤ α·H(p).

    Args:
      top_h: α, a share, scalar or [B]; ≥ 1 is off, neutral 1; ≤ 0 keeps the arg-max.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept.

    Raises:
      ParameterError: not a number, or not one for each row.

    Policy: the entropy of what is kept is renormalised; ties of the last token are kept; never empty.

    Source: arXiv 2509.02510.

    Example:
      >>> import jax.numpy as jnp
      >>> top_h(0.6)(jnp.log(jnp.array([0.5, 0.25, 0.15, 0.1])))[0] > -jnp.inf  # H = 1.21; of the first two 0.64, of three 0.98
      Array([ True,  True, False, False], dtype=bool)
    """
    return TopH(real("top_h", top_h))
