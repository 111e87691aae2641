"""LLaMA in Flax NNX: load GGUF or safetensors, prefill, decode on the device.

Names are loaded on first use, so that `samplerfuzz.llama.models` and the tokenizer work without JAX.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samplerfuzz.llama.cache import KVCache
    from samplerfuzz.llama.config import LlamaConfig, RopeScaling
    from samplerfuzz.llama.decoding import Generated, generate, stream
    from samplerfuzz.llama.forward import decode_step, logits_all, prefill
    from samplerfuzz.llama.load import load_config, load_model
    from samplerfuzz.llama.model import LlamaModel
    from samplerfuzz.llama.prompts import pad_prompts
    from samplerfuzz.llama.safetensors_dir import save_safetensors
    from samplerfuzz.llama.weights import random_weights

_LAZY = {
    "Generated": "decoding",
    "KVCache": "cache",
    "LlamaConfig": "config",
    "LlamaModel": "model",
    "RopeScaling": "config",
    "decode_step": "forward",
    "generate": "decoding",
    "load_config": "load",
    "load_model": "load",
    "logits_all": "forward",
    "pad_prompts": "prompts",
    "prefill": "forward",
    "random_weights": "weights",
    "save_safetensors": "safetensors_dir",
    "stream": "decoding",
}

__all__ = [
    "Generated",
    "KVCache",
    "LlamaConfig",
    "LlamaModel",
    "RopeScaling",
    "decode_step",
    "generate",
    "load_config",
    "load_model",
    "logits_all",
    "pad_prompts",
    "prefill",
    "random_weights",
    "save_safetensors",
    "stream",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'samplerfuzz.llama' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"samplerfuzz.llama.{_LAZY[name]}"), name)
    globals()[name] = value
    return value
