"""A model from a path: a GGUF file or a Hugging Face directory, told apart by what is there."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
from jax.typing import DTypeLike

from samplerfuzz.core.errors import ModelError
from samplerfuzz.llama import gguf_file, safetensors_dir
from samplerfuzz.llama.config import LlamaConfig
from samplerfuzz.llama.gguf_file import GGUFTensors
from samplerfuzz.llama.model import LlamaModel
from samplerfuzz.llama.safetensors_dir import SafetensorsDir
from samplerfuzz.llama.weights import assemble


def _open(path: Path | str) -> GGUFTensors | SafetensorsDir:
    found = Path(path)
    if not found.exists():
        raise ModelError(f"{found}: expected a GGUF file or a Hugging Face directory, found nothing there")
    if found.is_dir():
        return SafetensorsDir(found)
    if safetensors_dir.is_pickle(found):
        raise ModelError(f"{found}: a pickle can run code and is refused; convert it to safetensors or GGUF")
    if found.suffix.lower() == ".safetensors":
        raise ModelError(f"{found}: expected the directory that holds it, config.json included: {found.parent}")
    return GGUFTensors(found)


def load_config(path: Path | str) -> LlamaConfig:
    """Return the configuration of the model at `path` without reading its weights.

    Raises:
        ModelError: see `load_model`.
    """
    return _open(path).config


def load_model(path: Path | str, *, dtype: DTypeLike = jnp.float32) -> tuple[LlamaModel, LlamaConfig]:
    """Load a LLaMA.

    Args:
        path: a GGUF file (any quantisation that the `gguf` package undoes) or a directory with `config.json` and safetensors.
        dtype: float32 (the reference) or bfloat16.

    Returns:
        The model and its configuration.

    Raises:
        ModelError: nothing there, a pickle, damage, an architecture that is not a plain LLaMA, a tensor missing or of another shape;
            the message names the file, the tensor, what was expected and what was found.
        ParameterError: another dtype.
    """
    tensors = _open(path)
    if isinstance(tensors, GGUFTensors):
        weights = assemble(tensors.config, tensors, gguf_file.NAMING, dtype=dtype, ignored=gguf_file.IGNORED)
    else:
        weights = assemble(tensors.config, tensors, safetensors_dir.NAMING, dtype=dtype, ignored=tensors.ignored)
    return LlamaModel(tensors.config, weights), tensors.config
