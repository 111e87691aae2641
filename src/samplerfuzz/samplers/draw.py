"""A draw that is exact far into the tail: Gumbel-max with noise from wide uniforms.

The default Gumbel of JAX takes 23 bits a uniform, so its noise ends near 16 and tokens rarer than about 1e-7 are drawn
wrongly; `mode="high"` has the full range. The noise is float32 whatever the dtype of the logits. Source: Maddison et al.
2014 for the trick; JAX PR 26974 for the mode.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from samplerfuzz.samplers.stage import Array

NOTHING = -1


def draw(key: Array, logits: Array) -> tuple[Array, dict[str, Array]]:
    """Draw one token a row from softmax(logits).

    Args:
      key: a JAX random key.
      logits: [B, V] or [V]; -inf is never drawn.

    Returns:
      tokens int32 [B] (or a scalar); -1 where the row holds NaN or nothing is allowed. info: `logprob` in nats.

    >>> import jax, jax.numpy as jnp
    >>> draw(jax.random.key(0), jnp.array([[-jnp.inf, 5.0, -jnp.inf]]))[0].tolist()
    [1]
    """
    z = jnp.asarray(logits)
    rows = (z[None] if z.ndim == 1 else z).astype(jnp.float32)
    infinite = jnp.isposinf(rows).any(-1, keepdims=True)
    rows = jnp.where(infinite, jnp.where(jnp.isposinf(rows), jnp.float32(0), -jnp.inf), rows)
    shifted = rows - jnp.where(jnp.isneginf(rows), -jnp.inf, rows).max(-1, keepdims=True)
    noise = jax.random.gumbel(key, rows.shape, jnp.float32, mode="high")
    token = jnp.argmax(jnp.where(rows > -jnp.inf, shifted + noise, -jnp.inf), -1).astype(jnp.int32)
    valid = ~jnp.isnan(rows).any(-1) & (rows > -jnp.inf).any(-1)
    logprob = jnp.take_along_axis(jax.nn.log_softmax(rows), token[:, None], -1)[:, 0]
    token = jnp.where(valid, token, jnp.int32(NOTHING))
    info = {"logprob": jnp.where(valid, logprob, jnp.float32(jnp.nan))}
    return (token[0], {"logprob": info["logprob"][0]}) if z.ndim == 1 else (token, info)
