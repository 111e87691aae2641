"""The whole LLaMA: embedding, L stacked blocks run by one scan, final norm, head.

Compile time does not grow with depth: the block is traced once. `LlamaModel` is a pytree, so `jax.jit`, `jax.grad` and sharding take it as is.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.llama.cache import KVCache
from samplerfuzz.llama.config import LlamaConfig
from samplerfuzz.llama.layers import Block, RMSNorm, project
from samplerfuzz.llama.rope import angles
from samplerfuzz.llama.weights import BLOCK, weight_shapes


class LlamaModel(nnx.Module):
    """A LLaMA with its weights.

    Args:
        config: the shape.
        weights: an array for every name of `weight_shapes(config)`, all of one dtype (float32 or bfloat16).

    Raises:
        ParameterError: a name missing or unknown, a wrong shape, mixed dtypes.
    """

    def __init__(self, config: LlamaConfig, weights: Mapping[str, jax.Array]) -> None:
        wanted = weight_shapes(config)
        if weights.keys() != wanted.keys():
            raise ParameterError(
                f"weights: missing {sorted(wanted.keys() - weights.keys())}, unknown {sorted(weights.keys() - wanted.keys())}"
            )
        for name, shape in wanted.items():
            if weights[name].shape != shape:
                raise ParameterError(f"weights[{name!r}]: expected shape {shape}, found {weights[name].shape}")
        dtypes = {str(array.dtype) for array in weights.values()}
        if len(dtypes) > 1 or not dtypes <= {"float32", "bfloat16"}:
            raise ParameterError(f"weights: expected one dtype, float32 or bfloat16; found {sorted(dtypes)}")
        self.config = config
        self.embedding = nnx.Param(weights["embedding"])
        self.blocks = Block(config, {name: weights[name] for name in BLOCK})
        self.final_norm = RMSNorm(weights["final_norm"], eps=config.rms_norm_eps)
        self.head = None if config.tie_embeddings else nnx.Param(weights["head"])

    @property
    def dtype(self) -> jnp.dtype:
        """The dtype of weights, activations and cache."""
        return self.embedding[...].dtype

    def weights(self) -> dict[str, jax.Array]:
        """Return the arrays by the names of `weight_shapes`."""
        blocks = self.blocks
        parts = {
            "embedding": self.embedding,
            "attention_norm": blocks.attention_norm.weight,
            "query": blocks.attention.query,
            "key": blocks.attention.key,
            "value": blocks.attention.value,
            "output": blocks.attention.output,
            "feed_forward_norm": blocks.feed_forward_norm.weight,
            "gate": blocks.feed_forward.gate,
            "up": blocks.feed_forward.up,
            "down": blocks.feed_forward.down,
            "final_norm": self.final_norm.weight,
        }
        if self.head is not None:
            parts["head"] = self.head
        return {name: part[...] for name, part in parts.items()}

    def logits(self, x: jax.Array) -> jax.Array:
        """Return float32 `[..., V]` of the residual stream `[..., E]`."""
        head = self.embedding if self.head is None else self.head
        return project(self.final_norm(x), head[...]).astype(jnp.float32)

    def hidden(self, token_ids: jax.Array) -> jax.Array:
        """Return the residual stream `[B, T, E]` after the last block, without a cache; right padding changes no earlier position."""
        batch, length = token_ids.shape
        positions = jnp.broadcast_to(jnp.arange(length, dtype=jnp.int32)[None, :], (batch, length))
        turns = angles(self.config, positions)
        mask = positions[:, None, :] <= positions[:, :, None]

        def step(x: jax.Array, block: Block) -> tuple[jax.Array, None]:
            return block(x, turns, mask, lambda key, value: (key, value, None))

        x, _ = jax.lax.scan(step, self.embedding[...][token_ids], self.blocks)
        return x

    def extend(self, token_ids: jax.Array, cache: KVCache, *, window: int) -> tuple[jax.Array, KVCache]:
        """Run `token_ids` `[B, S]` at the positions after `cache.lengths` and write their keys and values.

        `window` (static): slots read by attention; at least the largest position + 1. `cache.lengths` is left to the caller, who knows the padding.
        Slots beyond the capacity are dropped.
        """
        batch, length = token_ids.shape
        positions = cache.lengths[:, None] + jnp.arange(length, dtype=jnp.int32)[None, :]
        turns = angles(self.config, positions)
        slots = jnp.arange(window, dtype=jnp.int32)
        mask = slots[None, None, :] <= positions[:, :, None]
        rows = jnp.arange(batch, dtype=jnp.int32)[:, None]

        def step(
            carry: tuple[jax.Array, jax.Array, jax.Array], layer: tuple[jax.Array, Block]
        ) -> tuple[tuple[jax.Array, jax.Array, jax.Array], None]:
            x, keys, values = carry
            index, block = layer

            def remember(key: jax.Array, value: jax.Array) -> tuple[jax.Array, jax.Array, tuple[jax.Array, jax.Array]]:
                all_keys = keys.at[index, rows, positions].set(key, mode="drop")
                all_values = values.at[index, rows, positions].set(value, mode="drop")
                return all_keys[index, :, :window], all_values[index, :, :window], (all_keys, all_values)

            x, kept = block(x, turns, mask, remember)
            return (x, *kept), None

        layers = jnp.arange(self.config.num_layers, dtype=jnp.int32)
        start = (self.embedding[...][token_ids], cache.keys, cache.values)
        (x, keys, values), _ = jax.lax.scan(step, start, (layers, self.blocks))
        return x, KVCache(keys=keys, values=values, lengths=cache.lengths)
