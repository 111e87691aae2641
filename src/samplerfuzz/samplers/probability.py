"""Probabilities and the entropy of rows of logits, right to the last bits of float32 at any vocabulary."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from samplerfuzz.samplers.mass import below_max, row_sum


def probabilities(z: jax.Array) -> jax.Array:
    """Return softmax(z) [B, V]; zeros for a row without allowed tokens.

    Example:
      >>> import jax.numpy as jnp
      >>> probabilities(jnp.log(jnp.array([[0.5, 0.25, 0.25]]))).round(4)
      Array([[0.5 , 0.25, 0.25]], dtype=float32)
    """
    weight = jnp.exp(below_max(z))
    mass = row_sum(weight)[:, None]
    return weight / jnp.where(mass > 0, mass, 1.0)


def information(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return −ln p − H of each token [B, V], in nats, and H = −Σ p ln p [B, 1], with 0·ln 0 = 0."""
    gap = -below_max(z)
    weight = jnp.exp(-gap)
    mass = row_sum(weight)[:, None]
    mean_gap = row_sum(jnp.where(weight > 0, weight * gap, 0.0))[:, None] / jnp.where(mass > 0, mass, 1.0)
    # −ln p_i = ln Σ + gap_i and H = ln Σ + mean gap: the logarithm of the sum drops out
    return gap - mean_gap, mean_gap + jnp.log(jnp.where(mass > 0, mass, 1.0))


def above_floor(z: jax.Array, p: jax.Array, floor: jax.Array) -> jax.Array:
    """Return which tokens [B, V] have at least the probability `floor` [B, 1]; the arg-max and its ties in any case."""
    return (p >= floor) | (z == jnp.max(z, axis=-1, keepdims=True))
