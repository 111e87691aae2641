"""Adaptive-p: prefer tokens whose probability lies near a target, and steer the mean of what was taken towards it (llama.cpp pull
request 17927).

z' = 5 − 10·d²/(1 + d), d = |p − t'|/0.3, t' = 2t − m held to [0, 1]; m is the mean of the p of the tokens taken, weighted by decay^age.
p is the probability as it arrives at the stage, for z' and for m alike. The mean starts at t, as if tokens of that probability had been
taken for ever (llama.cpp since the merge, and the author's documents, which call a start without weight the wrong one): w = t/(1 −
decay), n = 1/(1 − decay), m = w/n; after each token w ← p + decay·w, n ← 1 + decay·n.

No token is removed and masked ones stay masked, so nothing can become empty; the order of the tokens changes. Off (neutral): t < 0. t >
1 acts as 1, decay is held to [0, 0.99]. Invariant under a shift; it replaces the logits, so it is the last stage before the draw, after
the filters. A row with a +inf logit, which has all probability, stays as it is.

Source: llama.cpp, src/llama-sampler.cpp; MrJackSpade/adaptive-p-docs (whose older pages have 0.2 in place of 0.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from samplerfuzz.samplers.mass import log_probability
from samplerfuzz.samplers.parameter import column, real
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Info, Stage, State

_PEAK, _SHARPNESS, _WIDTH = 5.0, 10.0, 0.3


@pytree
@dataclass(frozen=True)
class AdaptiveP(Stage):
    """5 − 10·d²/(1 + d). Remembers the weighted sum of probabilities and the sum of weights, float32 [B] each."""

    target: Any
    decay: Any

    memory_name: ClassVar[str] = "adaptive_p"

    def begin(self, rows: int) -> tuple[jax.Array, jax.Array]:
        """Return the sums of a past in which the target was met."""
        weight = 1.0 / (1.0 - self._decay(rows))
        return jnp.clip(column("adaptive_target", self.target, rows)[:, 0], 0.0, 1.0) * weight, weight

    def accept(self, memory: tuple[jax.Array, jax.Array], tokens: jax.Array, info: Info) -> tuple[jax.Array, jax.Array]:
        """Return the sums with one more token."""
        rows, vocabulary = info["p"].shape
        taken = jnp.take_along_axis(info["p"], jnp.clip(tokens, 0, vocabulary - 1)[:, None], axis=-1)[:, 0]
        decay = self._decay(rows)
        moved = (tokens >= 0) & (column("adaptive_target", self.target, rows)[:, 0] >= 0)
        return jnp.where(moved, taken + decay * memory[0], memory[0]), jnp.where(moved, 1.0 + decay * memory[1], memory[1])

    def process(self, z: jax.Array, state: State | None) -> tuple[jax.Array, Info]:
        """Put the peak at the target that makes up for the past."""
        rows = z.shape[0]
        target = column("adaptive_target", self.target, rows)
        total, weight = self.recall(state, rows)
        adapted = jnp.clip(2.0 * jnp.clip(target, 0.0, 1.0) - (total / weight)[:, None], 0.0, 1.0)
        p = jnp.exp(log_probability(z))
        distance = jnp.abs(p - adapted) / jnp.float32(_WIDTH)
        shaped = _PEAK - _SHARPNESS * distance * distance / (1.0 + distance)
        untouched = (target < 0) | jnp.any(z == jnp.inf, axis=-1, keepdims=True)
        return jnp.where(untouched, z, shaped), {"adapted_target": adapted[:, 0], "p": p}

    def _decay(self, rows: int) -> jax.Array:
        return jnp.clip(column("adaptive_decay", self.decay, rows)[:, 0], 0.0, 0.99)


def adaptive_p(adaptive_target: ArrayLike, adaptive_decay: ArrayLike = 0.9) -> AdaptiveP:
    """Prefer tokens near a target probability, more or less of it as the past asks for.

    z' = 5 − 10·d²/(1 + d), d = |p − t'|/0.3, t' = 2t − (mean of the p taken).

    Args:
      adaptive_target: t, a probability, scalar or [B]; negative is off, neutral −1.
      adaptive_decay: weight of a token against the next one, scalar or [B], held to [0, 0.99].

    Returns:
      A stage that remembers a mean; logits float32 of the shape given. Diagnostics: kept, adapted_target, p ([B, V], before the change).

    Raises:
      ParameterError: not a number, or not one for each row.

    Policy: nothing is removed; masked stays masked; the mean starts at t.

    Source: llama.cpp pull request 17927.

    Example:
      >>> import jax.numpy as jnp
      >>> adaptive_p(0.25)(jnp.log(jnp.array([0.75, 0.25])))[0].round(2)
      Array([-5.42,  5.  ], dtype=float32)
    """
    return AdaptiveP(real("adaptive_target", adaptive_target), real("adaptive_decay", adaptive_decay))
