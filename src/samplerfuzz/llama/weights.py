"""The weights of a LLaMA by name: their shapes, random ones, and their assembly from a file, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from samplerfuzz.core.errors import ModelError, ParameterError
from samplerfuzz.llama.config import LlamaConfig

BLOCK = ("attention_norm", "query", "key", "value", "output", "feed_forward_norm", "gate", "up", "down")


def weight_shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of every weight; those of BLOCK lead with the layer axis L, projections are `[out, in]`."""
    layers, width, inner = config.num_layers, config.hidden_size, config.intermediate_size
    queries, keys = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
    shapes: dict[str, tuple[int, ...]] = {
        "embedding": (config.vocab_size, width),
        "attention_norm": (layers, width),
        "query": (layers, queries, width),
        "key": (layers, keys, width),
        "value": (layers, keys, width),
        "output": (layers, width, queries),
        "feed_forward_norm": (layers, width),
        "gate": (layers, inner, width),
        "up": (layers, inner, width),
        "down": (layers, width, inner),
        "final_norm": (width,),
    }
    return shapes if config.tie_embeddings else {**shapes, "head": (config.vocab_size, width)}


def as_dtype(dtype: DTypeLike) -> jnp.dtype:
    """Return `dtype` as one the model computes in: float32 (the reference) or bfloat16.

    Raises:
        ParameterError: any other.
    """
    try:
        found = jnp.dtype(dtype)
    except TypeError:
        found = None
    if found not in (jnp.float32, jnp.bfloat16):
        raise ParameterError(f"dtype = {dtype!r}: expected float32 or bfloat16")
    return found


def random_weights(config: LlamaConfig, key: jax.Array, *, dtype: DTypeLike = jnp.float32, scale: float = 0.02) -> dict[str, jax.Array]:
    """Return fresh weights to train from: norms 1, projections normal with standard deviation `scale`.

    The two projections that add to the residual stream are smaller by √(2L) (Radford et al., "GPT-2", 2019).
    """
    kind = as_dtype(dtype)
    drawn = {}
    for index, (name, shape) in enumerate(weight_shapes(config).items()):
        spread = scale / (2 * config.num_layers) ** 0.5 if name in ("output", "down") else scale
        normal = jax.random.normal(jax.random.fold_in(key, index), shape, jnp.float32) * spread
        drawn[name] = jnp.ones(shape, kind) if name.endswith("norm") else normal.astype(kind)
    return drawn


class Tensors(Protocol):
    """The named tensors of a model file or directory."""

    path: Path

    def names(self) -> set[str]:
        """Return every tensor name there is."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor, outermost axis first, without reading it."""

    def read(self, name: str) -> np.ndarray:
        """Return a tensor as float32."""


def file_names(config: LlamaConfig, naming: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return, for each weight, its tensor names in the file: one a layer where `naming` has `{layer}`, else one."""
    per_layer = range(config.num_layers)
    return {
        name: tuple(naming[name].format(layer=layer) for layer in per_layer) if name in BLOCK else (naming[name],)
        for name in weight_shapes(config)
    }


def assemble(
    config: LlamaConfig, tensors: Tensors, naming: Mapping[str, str], *, dtype: DTypeLike, ignored: set[str]
) -> dict[str, jax.Array]:
    """Read every weight of `config` out of `tensors`; all names and shapes are checked before anything is read.

    Args:
        naming: weight name -> tensor name, with `{layer}` for those of BLOCK.
        dtype: float32 or bfloat16.
        ignored: tensor names that mean nothing here.

    Raises:
        ModelError: a tensor that is missing, of another shape, not finite, or unknown (a bias, an expert): the model would compute something else.
    """
    kind = as_dtype(dtype)
    shapes, wanted, present = weight_shapes(config), file_names(config, naming), tensors.names()
    for name, files in wanted.items():
        expected = shapes[name][1:] if name in BLOCK else shapes[name]
        for file in files:
            if file not in present:
                raise ModelError(f"{tensors.path}: tensor {file!r} is missing; expected it with shape {expected}")
            if tensors.shape(file) != expected:
                raise ModelError(f"{tensors.path}: tensor {file!r}: expected shape {expected}, found {tensors.shape(file)}")
    unknown = sorted(present - ignored - {file for files in wanted.values() for file in files})
    if unknown:
        raise ModelError(
            f"{tensors.path}: {len(unknown)} tensor(s) a plain LLaMA does not have, first {unknown[0]!r}: this architecture is not supported"
        )
    weights = {}
    for name, files in wanted.items():
        stacked = np.empty((len(files), *tensors.shape(files[0])), kind)
        for layer, file in enumerate(files):
            read = tensors.read(file)
            if not np.isfinite(read).all():
                raise ModelError(f"{tensors.path}: tensor {file!r}: expected finite numbers, found NaN or infinity")
            stacked[layer] = read
        weights[name] = jnp.asarray(stacked if name in BLOCK else stacked[0])
    return weights
