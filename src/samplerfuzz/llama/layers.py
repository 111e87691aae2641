"""The parts of one LLaMA block: RMS norm, attention (MHA, GQA, MQA), SwiGLU.

Projections are stored `[out, in]`, as model files store them. Matrix products run at the highest precision in float32;
norms, rotations, softmax and attention scores are float32 whatever the dtype of the weights.
Sources: Touvron et al., "LLaMA" (2023), https://arxiv.org/abs/2302.13971; Ainslie et al., "GQA" (2023); Shazeer, "GLU Variants" (2020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from samplerfuzz.llama.config import LlamaConfig
from samplerfuzz.llama.rope import rotate

Remember = Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array, Any]]
"""Takes the new keys and values `[B, S, K, D]`; returns those to attend to `[B, T, K, D]` and whatever is to be kept."""


def project(x: jax.Array, weight: jax.Array) -> jax.Array:
    """Return `x @ weightᵀ`: `[..., in]` by `[out, in]` gives `[..., out]`, in the dtype of `x`."""
    return jnp.einsum("...i,oi->...o", x, weight, precision=jax.lax.Precision.HIGHEST)


class RMSNorm(nnx.Module):
    """`x / √(mean(x²) + ε) · weight` over the last axis (Zhang & Sennrich 2019)."""

    def __init__(self, weight: jax.Array, *, eps: float) -> None:
        self.weight = nnx.Param(weight)
        self.eps = eps

    def __call__(self, x: jax.Array) -> jax.Array:
        wide = x.astype(jnp.float32)
        scale = jax.lax.rsqrt(jnp.mean(wide * wide, axis=-1, keepdims=True) + self.eps)
        weight = self.weight[...]
        return (wide * scale).astype(x.dtype) * jnp.broadcast_to(weight, x.shape)


class Attention(nnx.Module):
    """Causal attention of H query heads over K key/value heads, each shared by H/K queries."""

    def __init__(self, config: LlamaConfig, weights: Mapping[str, jax.Array]) -> None:
        self.config = config
        self.query = nnx.Param(weights["query"])
        self.key = nnx.Param(weights["key"])
        self.value = nnx.Param(weights["value"])
        self.output = nnx.Param(weights["output"])

    def heads(self, x: jax.Array, angles: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return rotated queries `[B, S, H, D]`, rotated keys and values `[B, S, K, D]` of `x` `[B, S, E]`."""
        batch, length, _ = x.shape
        shape = (batch, length, -1, self.config.head_dim)
        query = project(x, self.query[...]).reshape(shape)
        key = project(x, self.key[...]).reshape(shape)
        value = project(x, self.value[...]).reshape(shape)
        return rotate(query, *angles), rotate(key, *angles), value

    def attend(self, query: jax.Array, keys: jax.Array, values: jax.Array, mask: jax.Array) -> jax.Array:
        """Return `[B, S, E]`: softmax(q·k/√D) over the positions T that `mask` `[B, S, T]` allows, mixed and projected."""
        batch, length, heads, size = query.shape
        grouped = query.reshape(batch, length, keys.shape[2], -1, size)
        precise = jax.lax.Precision.HIGHEST
        scores = jnp.einsum("bskgd,btkd->bkgst", grouped, keys, precision=precise, preferred_element_type=jnp.float32)
        scores = jnp.where(mask[:, None, None, :, :], scores * size**-0.5, -jnp.inf)
        shares = jax.nn.softmax(scores, axis=-1).astype(values.dtype)
        mixed = jnp.einsum("bkgst,btkd->bskgd", shares, values, precision=precise)
        return project(mixed.reshape(batch, length, heads * size), self.output[...])


class SwiGLU(nnx.Module):
    """`down(silu(gate(x)) · up(x))`."""

    def __init__(self, weights: Mapping[str, jax.Array]) -> None:
        self.gate = nnx.Param(weights["gate"])
        self.up = nnx.Param(weights["up"])
        self.down = nnx.Param(weights["down"])

    def __call__(self, x: jax.Array) -> jax.Array:
        return project(jax.nn.silu(project(x, self.gate[...])) * project(x, self.up[...]), self.down[...])


class Block(nnx.Module):
    """Attention and feed-forward, each on a normed copy and added back.

    The model holds one Block whose weights carry a leading axis L; `jax.lax.scan` hands each layer's slice to `__call__`.
    """

    def __init__(self, config: LlamaConfig, weights: Mapping[str, jax.Array]) -> None:
        self.attention_norm = RMSNorm(weights["attention_norm"], eps=config.rms_norm_eps)
        self.attention = Attention(config, weights)
        self.feed_forward_norm = RMSNorm(weights["feed_forward_norm"], eps=config.rms_norm_eps)
        self.feed_forward = SwiGLU(weights)

    def __call__(self, x: jax.Array, angles: tuple[jax.Array, jax.Array], mask: jax.Array, remember: Remember) -> tuple[jax.Array, Any]:
        """Return the new residual stream `[B, S, E]` and what `remember` kept."""
        query, key, value = self.attention.heads(self.attention_norm(x), angles)
        keys, values, kept = remember(key, value)
        x = x + self.attention.attend(query, keys, values, mask)
        return x + self.feed_forward(self.feed_forward_norm(x)), kept
