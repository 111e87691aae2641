"""What a LLaMA is made of, as data. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass

from samplerfuzz.core.errors import ParameterError


def _require(condition: bool, field: str, value: object, wanted: str) -> None:
    if not condition:
        raise ParameterError(f"LlamaConfig.{field} = {value!r}: expected {wanted}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


@dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """Llama 3.1's stretching of the slow rotary frequencies.

    Wavelengths shorter than `original_max_position / high_freq_factor` stay, those longer than
    `original_max_position / low_freq_factor` are stretched by `factor`, and between them the two are blended.

    Source: "The Llama 3 Herd of Models" (2024) and Meta's reference code, `llama3/models/llama3/reference_impl`.
    """

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position: int

    def __post_init__(self) -> None:
        for field in ("factor", "low_freq_factor", "high_freq_factor"):
            _require(_is_positive(getattr(self, field)), f"rope_scaling.{field}", getattr(self, field), "a finite number > 0")
        _require(
            self.high_freq_factor > self.low_freq_factor,
            "rope_scaling.high_freq_factor",
            self.high_freq_factor,
            f"more than low_freq_factor = {self.low_freq_factor}",
        )
        _require(_is_count(self.original_max_position), "rope_scaling.original_max_position", self.original_max_position, "an integer >= 1")


@dataclass(frozen=True, kw_only=True)
class LlamaConfig:
    """The shape and constants of one LLaMA. Hashable: a compiled function is chosen by it.

    Args:
        vocab_size: tokens V, >= 1.
        hidden_size: width of the residual stream E.
        intermediate_size: width of the feed-forward layer.
        num_layers: blocks L.
        num_heads: query heads H.
        num_kv_heads: key/value heads K; H is a multiple of K (K = H is MHA, 1 < K < H is GQA, K = 1 is MQA).
        head_dim: size D of a head, even.
        rms_norm_eps: ε added to the mean square.
        rope_theta: base of the rotary frequencies.
        rope_scaling: Llama-3.1 stretching, or None.
        rope_factors: D/2 divisors of the rotary frequencies (as GGUF files carry them), or None. Excludes `rope_scaling`.
        tie_embeddings: the head is the embedding.
        max_position: positions the model was made for; longer texts are refused.

    Raises:
        ParameterError: a field outside its range.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    rope_scaling: RopeScaling | None = None
    rope_factors: tuple[float, ...] | None = None
    tie_embeddings: bool = False
    max_position: int = 2048

    def __post_init__(self) -> None:
        counts = ("vocab_size", "hidden_size", "intermediate_size", "num_layers", "num_heads", "num_kv_heads", "head_dim", "max_position")
        for field in counts:
            _require(_is_count(getattr(self, field)), field, getattr(self, field), "an integer >= 1")
        _require(self.head_dim % 2 == 0, "head_dim", self.head_dim, "an even integer (rotary pairs)")
        _require(self.num_heads % self.num_kv_heads == 0, "num_kv_heads", self.num_kv_heads, f"a divisor of num_heads = {self.num_heads}")
        for field in ("rms_norm_eps", "rope_theta"):
            _require(_is_positive(getattr(self, field)), field, getattr(self, field), "a finite number > 0")
        if self.rope_factors is not None:
            _require(self.rope_scaling is None, "rope_factors", self.rope_factors, "None where rope_scaling is given")
            _require(
                len(self.rope_factors) == self.head_dim // 2 and all(map(_is_positive, self.rope_factors)),
                "rope_factors",
                self.rope_factors,
                f"head_dim / 2 = {self.head_dim // 2} finite numbers > 0",
            )
