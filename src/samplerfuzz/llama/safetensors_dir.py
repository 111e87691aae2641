"""LLaMA weights from, and to, a Hugging Face directory: `config.json` beside `model.safetensors` or its indexed shards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from safetensors import SafetensorError, safe_open
from safetensors.flax import save_file

from samplerfuzz.core.errors import ModelError
from samplerfuzz.llama.hf_config import config_as_json, config_from_json
from samplerfuzz.llama.model import LlamaModel
from samplerfuzz.llama.weights import BLOCK, file_names

NAMING = {
    "embedding": "model.embed_tokens.weight",
    "attention_norm": "model.layers.{layer}.input_layernorm.weight",
    "query": "model.layers.{layer}.self_attn.q_proj.weight",
    "key": "model.layers.{layer}.self_attn.k_proj.weight",
    "value": "model.layers.{layer}.self_attn.v_proj.weight",
    "output": "model.layers.{layer}.self_attn.o_proj.weight",
    "feed_forward_norm": "model.layers.{layer}.post_attention_layernorm.weight",
    "gate": "model.layers.{layer}.mlp.gate_proj.weight",
    "up": "model.layers.{layer}.mlp.up_proj.weight",
    "down": "model.layers.{layer}.mlp.down_proj.weight",
    "final_norm": "model.norm.weight",
    "head": "lm_head.weight",
}
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_NUMBERS = {"F64", "F32", "F16", "BF16"}


def is_pickle(path: Path) -> bool:
    """Tell whether the name is one of a pickle, which can run code when it is loaded."""
    return path.suffix.lower() in _PICKLES


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`.

    Raises:
        ModelError: not there, not JSON, not an object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: expected JSON, found damage: {error}") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path}: expected a JSON object, found {type(data).__name__}")
    return data


class SafetensorsDir:
    """The tensors of a directory; which shard holds which is known from the headers, and checked against the index.

    Raises:
        ModelError: no weights, only pickles, a missing, truncated or damaged shard, bad JSON.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = config_from_json(read_json(path / "config.json"), path / "config.json")
        self._files: dict[str, Path] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        for shard, promised in self._shards().items():
            self._read_header(shard)
            absent = sorted(promised - {name for name, file in self._files.items() if file == shard})
            if absent:
                raise ModelError(f"{shard}: tensor {absent[0]!r} is missing; {INDEX} says that it is in this shard")

    @property
    def ignored(self) -> set[str]:
        """Tensors without meaning here: a head beside tied embeddings, and rotary frequencies that old files store."""
        return {
            name for name in self._files if name.endswith(".rotary_emb.inv_freq") or (name == NAMING["head"] and self.config.tie_embeddings)
        }

    def names(self) -> set[str]:
        """Return every tensor name."""
        return set(self._files)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return self._shapes[name]

    def read(self, name: str) -> np.ndarray:
        """Return a tensor as float32."""
        try:
            with safe_open(self._files[name], framework="flax") as shard:
                return np.asarray(shard.get_tensor(name)).astype(np.float32)
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{self._files[name]}: tensor {name!r} cannot be read: {error}") from error

    def _shards(self) -> dict[Path, set[str]]:
        if (self.path / SINGLE).exists():
            return {self.path / SINGLE: set()}
        if not (self.path / INDEX).exists():
            pickles = sorted(file.name for file in self.path.iterdir() if is_pickle(file))
            if pickles:
                raise ModelError(
                    f"{self.path}: found only pickles ({pickles[0]}), which can run code and are refused; convert them to safetensors"
                )
            raise ModelError(f"{self.path}: expected {SINGLE} or {INDEX}, found neither")
        table = read_json(self.path / INDEX).get("weight_map")
        if not isinstance(table, dict) or not table or not all(isinstance(file, str) for file in table.values()):
            raise ModelError(f"{self.path / INDEX}: 'weight_map': expected an object of tensor name -> file name")
        shards: dict[Path, set[str]] = {}
        for name, file in table.items():
            if Path(file).name != file or is_pickle(Path(file)):
                raise ModelError(
                    f"{self.path / INDEX}: tensor {name!r}: expected the name of a .safetensors file beside it, found {file!r}"
                )
            shards.setdefault(self.path / file, set()).add(name)
        for shard, names in shards.items():
            if not shard.exists():
                raise ModelError(f"{shard}: this shard is missing; {INDEX} expects {len(names)} tensor(s) in it, first {min(names)!r}")
        return shards

    def _read_header(self, shard: Path) -> None:
        try:
            with safe_open(shard, framework="flax") as file:
                for name in file.keys():  # noqa: SIM118 (not a mapping)
                    view = file.get_slice(name)
                    if view.get_dtype() not in _NUMBERS:
                        raise ModelError(f"{shard}: tensor {name!r}: expected one of {sorted(_NUMBERS)}, found {view.get_dtype()}")
                    self._files[name], self._shapes[name] = shard, tuple(view.get_shape())
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{shard}: expected a whole safetensors file, found damage: {error}") from error


def save_safetensors(directory: Path | str, model: LlamaModel, *, dtype: DTypeLike | None = None) -> None:
    """Write `config.json` and `model.safetensors`, readable by `load_model` and by transformers.

    Args:
        directory: created where it does not exist; files of the same name are replaced.
        model: the model to write.
        dtype: float32, bfloat16 or float16 on disk; None: the model's own.

    Raises:
        ModelError: rotary factors that `config.json` has no words for.
    """
    folder, config = Path(directory), model.config
    kind = model.dtype if dtype is None else jnp.dtype(dtype)
    described = config_as_json(config, dtype=str(kind))
    tensors = {}
    names = file_names(config, NAMING)
    for name, array in model.weights().items():
        for layer, file in enumerate(names[name]):
            tensors[file] = (array[layer] if name in BLOCK else array).astype(kind)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / SINGLE, metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
