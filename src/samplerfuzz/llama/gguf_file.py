"""LLaMA weights from a GGUF file, whatever quantisation the `gguf` package can undo.

The GGUF `llama` layout stores the rows of the query and key projections so that rotary pairs are neighbours (2i, 2i+1);
this model pairs i with i + D/2, so the rows are put back. Llama-3.1 files carry frequency divisors in `rope_freqs.weight`.
Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and llama.cpp's `convert_hf_to_gguf.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np

from samplerfuzz.core.errors import ModelError, ParameterError
from samplerfuzz.llama.config import LlamaConfig

NAMING = {
    "embedding": "token_embd.weight",
    "attention_norm": "blk.{layer}.attn_norm.weight",
    "query": "blk.{layer}.attn_q.weight",
    "key": "blk.{layer}.attn_k.weight",
    "value": "blk.{layer}.attn_v.weight",
    "output": "blk.{layer}.attn_output.weight",
    "feed_forward_norm": "blk.{layer}.ffn_norm.weight",
    "gate": "blk.{layer}.ffn_gate.weight",
    "up": "blk.{layer}.ffn_up.weight",
    "down": "blk.{layer}.ffn_down.weight",
    "final_norm": "output_norm.weight",
    "head": "output.weight",
}
ROPE_FREQS = "rope_freqs.weight"
IGNORED = {ROPE_FREQS}
_DAMAGE = (ValueError, KeyError, IndexError, OverflowError, TypeError, MemoryError, gguf.QuantError)


class _Bounded(gguf.GGUFReader):
    """A reader that notices the end of the file: the parent's slices are silently short there."""

    reading = "header"

    def _get(self, offset: int, dtype: Any, count: int = 1, override_order: Any = None) -> Any:
        end = int(offset) + int(count) * np.dtype(dtype).itemsize
        if end > len(self.data):
            raise EOFError(f"{self.reading} ends at byte {end}, the file at byte {len(self.data)}")
        return super()._get(offset, dtype, count, override_order)

    def _build_tensors(self, start_offs: int, fields: list[Any]) -> None:
        for field in fields:
            _, name, _, dims, kind, offset = field.parts
            self.reading = f"tensor {bytes(name).decode('utf-8', 'replace')!r}"
            block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(int(kind[0]))]
            self._get(int(start_offs + offset[0]), np.uint8, int(np.prod([int(dim) for dim in dims], dtype=object)) * size // block)
        self.reading = "data"
        super()._build_tensors(start_offs, fields)


class GGUFTensors:
    """The tensors and metadata of one GGUF file, memory-mapped.

    Raises:
        ModelError: not a GGUF file, a truncated or damaged one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._reader = _Bounded(path)
        except EOFError as error:
            raise ModelError(f"{path}: the GGUF file is truncated: {error}. Download it again") from error
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {error}") from error
        except _DAMAGE as error:
            raise ModelError(f"{path}: expected a GGUF file (version 2 or 3), found damage: {error}") from error
        self._tensors = {tensor.name: tensor for tensor in self._reader.tensors}
        self.config = self._config()

    def metadata(self, key: str, kind: type, default: Any = None) -> Any:
        """Return the metadata value of `key`, which must be a `kind`; `default` where there is none.

        Raises:
            ModelError: of another type, or absent without a default.
        """
        field = self._reader.get_field(key)
        if field is None:
            if default is None:
                raise ModelError(f"{self.path}: metadata {key!r} is missing; expected {kind.__name__}")
            return default
        try:
            value = field.contents()
        except _DAMAGE as error:
            raise ModelError(f"{self.path}: metadata {key!r} cannot be read: {error}") from error
        accepted = (int, float) if kind is float else (kind,)
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise ModelError(f"{self.path}: metadata {key!r}: expected {kind.__name__}, found {value!r}")
        return kind(value)

    def names(self) -> set[str]:
        """Return every tensor name."""
        return set(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape, outermost axis first (GGUF lists the innermost first)."""
        return tuple(int(size) for size in reversed(self._tensors[name].shape))

    def read(self, name: str) -> np.ndarray:
        """Return the tensor de-quantised to float32, query and key rows in this model's order.

        Raises:
            ModelError: a quantisation that `gguf` cannot undo.
        """
        tensor = self._tensors[name]
        try:
            values = np.asarray(gguf.dequantize(tensor.data, tensor.tensor_type), np.float32).reshape(self.shape(name))
        except (NotImplementedError, *_DAMAGE) as error:
            raise ModelError(f"{self.path}: tensor {name!r} of type {tensor.tensor_type.name} cannot be de-quantised: {error}") from error
        if name.endswith((".attn_q.weight", ".attn_k.weight")):
            return halves_from_neighbours(values, self.config.head_dim)
        return values

    def _config(self) -> LlamaConfig:
        architecture = self.metadata("general.architecture", str)
        if architecture != "llama":
            raise ModelError(f"{self.path}: expected architecture 'llama', found {architecture!r}")
        experts = self.metadata("llama.expert_count", int, 0)
        if experts:
            raise ModelError(f"{self.path}: expected a dense model, found a mixture of {experts} experts")
        if NAMING["embedding"] not in self._tensors:
            raise ModelError(f"{self.path}: tensor {NAMING['embedding']!r} is missing; expected [vocabulary, hidden]")
        width, heads = self.metadata("llama.embedding_length", int), self.metadata("llama.attention.head_count", int)
        size = self.metadata("llama.attention.key_length", int, width // max(heads, 1) or 1)
        for key in ("llama.attention.value_length", "llama.rope.dimension_count"):
            if self.metadata(key, int, size) != size:
                raise ModelError(f"{self.path}: metadata {key!r}: expected the head size {size}, found {self.metadata(key, int)}")
        try:
            return LlamaConfig(
                vocab_size=self.metadata("llama.vocab_size", int, self.shape(NAMING["embedding"])[0]),
                hidden_size=width,
                intermediate_size=self.metadata("llama.feed_forward_length", int),
                num_layers=self.metadata("llama.block_count", int),
                num_heads=heads,
                num_kv_heads=self.metadata("llama.attention.head_count_kv", int, heads),
                head_dim=size,
                rms_norm_eps=self.metadata("llama.attention.layer_norm_rms_epsilon", float),
                rope_theta=self.metadata("llama.rope.freq_base", float, 10000.0),
                rope_factors=self._rope_factors(size),
                tie_embeddings=NAMING["head"] not in self._tensors,
                max_position=self.metadata("llama.context_length", int),
            )
        except ParameterError as error:
            raise ModelError(f"{self.path}: {error}") from error

    def _rope_factors(self, head_dim: int) -> tuple[float, ...] | None:
        kind = self.metadata("llama.rope.scaling.type", str, "none")
        if kind not in ("none", "linear"):
            raise ModelError(f"{self.path}: metadata 'llama.rope.scaling.type': expected 'none' or 'linear', found {kind!r}")
        factors = np.ones(head_dim // 2)
        if kind == "linear":
            factors *= self.metadata("llama.rope.scaling.factor", float)
        if ROPE_FREQS in self._tensors:
            if self.shape(ROPE_FREQS) != factors.shape:
                raise ModelError(f"{self.path}: tensor {ROPE_FREQS!r}: expected shape {factors.shape}, found {self.shape(ROPE_FREQS)}")
            tensor = self._tensors[ROPE_FREQS]
            factors *= gguf.dequantize(tensor.data, tensor.tensor_type)
        return None if (factors == 1).all() else tuple(factors.tolist())


def halves_from_neighbours(rows: np.ndarray, head_dim: int) -> np.ndarray:
    """Reorder projection rows `[heads · D, in]` from rotary pairs (2i, 2i+1) to pairs (i, i + D/2).

    >>> halves_from_neighbours(np.arange(4)[:, None], 4).ravel().tolist()
    [0, 2, 1, 3]
    """
    return rows.reshape(-1, head_dim // 2, 2, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)
