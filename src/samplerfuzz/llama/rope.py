"""Rotary position embedding, half-rotated layout: component i of a head is paired with component i + D/2.

Source: Su et al., "RoFormer" (2021), https://arxiv.org/abs/2104.09864.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from samplerfuzz.llama.config import LlamaConfig, RopeScaling


def _stretched(frequencies: np.ndarray, scaling: RopeScaling) -> np.ndarray:
    """Blend each frequency with `frequency / factor` by where its wavelength lies (see `RopeScaling`)."""
    turns = scaling.original_max_position * frequencies / (2 * np.pi)
    kept = np.clip((turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor), 0.0, 1.0)
    return kept * frequencies + (1 - kept) * frequencies / scaling.factor


def frequencies(config: LlamaConfig) -> np.ndarray:
    """Return the angle per position, in radians, of each rotary pair: float32 `[D/2]`.

    >>> config = LlamaConfig(vocab_size=1, hidden_size=4, intermediate_size=1, num_layers=1, num_heads=1, num_kv_heads=1, head_dim=4)
    >>> frequencies(config).round(4).tolist()
    [1.0, 0.009999999776482582]
    """
    exponents = np.arange(0, config.head_dim, 2, dtype=np.float64) / config.head_dim
    plain = config.rope_theta**-exponents
    if config.rope_scaling is not None:
        plain = _stretched(plain, config.rope_scaling)
    if config.rope_factors is not None:
        plain = plain / np.asarray(config.rope_factors, np.float64)
    return plain.astype(np.float32)


def angles(config: LlamaConfig, positions: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return cosine and sine, float32 `[B, S, 1, D/2]`, for `positions` int32 `[B, S]`."""
    turned = positions[:, :, None, None].astype(jnp.float32) * jnp.asarray(frequencies(config))[None, None, None, :]
    return jnp.cos(turned), jnp.sin(turned)


def rotate(heads: jax.Array, cosine: jax.Array, sine: jax.Array) -> jax.Array:
    """Rotate `heads` `[B, S, H, D]` by the angles `[B, S, 1, D/2]`; computed in float32, returned in the dtype given."""
    first, second = jnp.split(heads.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)
    return turned.astype(heads.dtype)
