"""The key/value cache: allocated once, donated from step to step."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from samplerfuzz.llama.config import LlamaConfig


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class KVCache:
    """Keys and values of every layer. Slot t of a row holds position t: rows are right-padded, so the two agree."""

    keys: jax.Array  # [L, B, T, K, D], rotated
    values: jax.Array  # [L, B, T, K, D]
    lengths: jax.Array  # [B] int32, positions filled in each row

    @property
    def capacity(self) -> int:
        """Positions T a row can hold."""
        return self.keys.shape[2]


def empty_cache(config: LlamaConfig, *, batch: int, capacity: int, dtype: jnp.dtype) -> KVCache:
    """Return a cache for `batch` rows of `capacity` positions with nothing in it."""
    shape = (config.num_layers, batch, capacity, config.num_kv_heads, config.head_dim)
    return KVCache(keys=jnp.zeros(shape, dtype), values=jnp.zeros(shape, dtype), lengths=jnp.zeros(batch, jnp.int32))
