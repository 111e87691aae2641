"""The same model, spoilt in a known way: rounded weights, shuffled weights, hidden states that no text leads to."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from samplerfuzz.llama.model import LlamaModel

# 16-bit floats, and formats of GGUF: 8 and 4 bits in blocks of 32 with a scale (Q4_1: and an offset)
ROUNDINGS = ("bfloat16", "float16", "Q8_0", "Q4_1")
_BLOCKS = ("query", "key", "value", "output", "gate", "up", "down")


def rounded(model: LlamaModel, kind: str) -> LlamaModel:
    """Return the model with every matrix rounded to `kind`, computed in float32: what rounding the weights alone does.

    In the GGUF formats norms stay as they are, as does a row whose length is no multiple of 32.
    """
    weights = {name: np.asarray(w, np.float32) for name, w in model.weights().items()}
    return LlamaModel(model.config, {name: jnp.asarray(_rounded(w, kind, name.endswith("norm"))) for name, w in weights.items()})


def shuffled(model: LlamaModel, rng: np.random.Generator) -> LlamaModel:
    """Return the model with the entries of every matrix of its blocks in another order; embeddings and norms stay."""
    return LlamaModel(
        model.config,
        {
            name: jnp.asarray(rng.permutation(np.asarray(w).ravel()).reshape(w.shape)) if name in _BLOCKS else w
            for name, w in model.weights().items()
        },
    )


def least_of_random_states(model: LlamaModel, count: int, seed: int) -> np.ndarray:
    """Return the distinct ids that are least likely for one of `count` normal hidden states."""
    states = jax.random.normal(jax.random.key(seed), (count, model.config.hidden_size)).astype(model.dtype)
    return np.unique(np.asarray(jnp.argmin(jax.jit(lambda model, x: model.logits(x))(model, states), -1)))


def _rounded(weight: np.ndarray, kind: str, is_norm: bool) -> np.ndarray:
    if kind in ("bfloat16", "float16"):
        return np.asarray(jnp.asarray(weight).astype(kind).astype(jnp.float32))
    if is_norm or weight.shape[-1] % 32:
        return weight
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize, quantize

    form = GGMLQuantizationType[kind]
    rows = np.ascontiguousarray(weight).reshape(-1, weight.shape[-1])
    return np.asarray(dequantize(quantize(rows, form), form), np.float32).reshape(weight.shape)
