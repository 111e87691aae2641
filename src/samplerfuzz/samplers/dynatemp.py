"""Dynamic temperature: divide by a temperature that follows the entropy (kalomaze, koboldcpp pull request 600; llama.cpp pull requests 4972 and 5352).

z/T' with T' = lo + (hi − lo)·(H / ln N)^γ, lo = max(0, T − r), hi = max(0, T + r); H in nats and N over the tokens that earlier stages left. It owns the
temperature: it stands in place of that stage, not beside it. r ≤ 0 (neutral) is plain temperature, for every real T; T' = 0 is greedy,
ties to the lowest id; T = ±∞ is uniform whatever r. One token alone counts as full entropy, which changes nothing. The mask and the form of the
result are those of temperature. Neutral: r = 0 and T = 1. Domain: reals; γ < 0 turns the dependence round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.probability import information
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Info, Stage, State
from samplerfuzz.samplers.temperature import divided


@pytree
@dataclass(frozen=True)
class Dynatemp(Stage):
    """z/T'."""

    spread: Any
    exponent: Any
    temperature: Any

    masked_is_deleted: ClassVar[bool] = True

    def process(self, z: jax.Array, state: State | None) -> tuple[jax.Array, Info]:
        """Measure the entropy, choose T' and divide."""
        rows = z.shape[0]
        t = column("temperature", self.temperature, rows)
        spread = column("dynatemp_range", self.spread, rows)
        _, entropy = information(z)
        count = jnp.sum(z > -jnp.inf, axis=-1, keepdims=True, dtype=jnp.float32)
        share = jnp.where(count > 1, jnp.clip(entropy / jnp.log(jnp.maximum(count, 2.0)), 0.0, 1.0), 1.0)
        low, high = jnp.maximum(t - spread, 0.0), jnp.maximum(t + spread, 0.0)
        ranged = (spread > 0) & jnp.isfinite(t)
        inside = jnp.where(ranged & (high > low), (high - low) * share ** column("dynatemp_exponent", self.exponent, rows), 0.0)
        chosen = jnp.where(ranged, low + inside, t)
        return divided(z, chosen), {"temperature": chosen[:, 0], "entropy": entropy[:, 0]}


def dynatemp(dynatemp_range: ArrayLike, dynatemp_exponent: ArrayLike = 1.0, temperature: ArrayLike = 1.0) -> Dynatemp:
    """Divide the logits by a temperature that follows the entropy.

    z' = z/T', T' = lo + (hi − lo)·(H / ln N)^γ, lo = max(0, T − r), hi = max(0, T + r).

    Args:
      dynatemp_range: r, how far T' may be from T, scalar or [B]; ≤ 0 is plain temperature, neutral 0.
      dynatemp_exponent: γ, scalar or [B]; 1 is proportional.
      temperature: T, any real number, ±inf too, scalar or [B]; neutral 1.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept, temperature (the one chosen), entropy in nats.

    Raises:
      ParameterError: not a number, or not one for each row.

    Policy: N counts the tokens that can be drawn; T' = 0 greedy, ties to the lowest id; masked stays masked.

    Source: koboldcpp pull request 600; llama.cpp pull requests 4972 and 5352.

    Example:
      >>> import jax.numpy as jnp
      >>> seen = dynatemp(0.5, temperature=1.5)(jnp.array([1.0, 1.0, -jnp.inf]))[2]
      >>> round(float(seen["temperature"]), 3), int(seen["kept"])  # full entropy: T' = T + r
      (2.0, 2)
    """
    return Dynatemp(real("dynatemp_range", dynatemp_range), real("dynatemp_exponent", dynatemp_exponent), real("temperature", temperature))
