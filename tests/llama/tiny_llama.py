"""Tiny LLaMAs of every kind, with weights that any machine makes alike, and a batch of prompts of different lengths."""

import numpy as np

from samplerfuzz.llama.config import LlamaConfig, RopeScaling
from samplerfuzz.llama.weights import weight_shapes

_SMALL = {"vocab_size": 97, "hidden_size": 32, "intermediate_size": 56, "num_layers": 3, "num_heads": 4, "max_position": 256}

CASES = {
    "mha_tied": LlamaConfig(**_SMALL, num_kv_heads=4, head_dim=8, tie_embeddings=True),
    "gqa_untied": LlamaConfig(**_SMALL, num_kv_heads=2, head_dim=8, rms_norm_eps=1e-6, rope_theta=100000.0),
    "mqa_wide_heads": LlamaConfig(**_SMALL, num_kv_heads=1, head_dim=16, tie_embeddings=True),
    "gqa_llama3_rope": LlamaConfig(
        **_SMALL,
        num_kv_heads=2,
        head_dim=16,
        rope_scaling=RopeScaling(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position=64),
    ),
    "gqa_linear_rope": LlamaConfig(**_SMALL, num_kv_heads=2, head_dim=8, rope_factors=(4.0,) * 4, tie_embeddings=True),
}
LENGTHS = np.array([24, 9, 1], np.int32)


def uniform(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return float32 in [-1, 1): from raw PCG64 bits, whose stream NumPy never changes."""
    bits = np.random.PCG64(seed).random_raw(int(np.prod(shape)))
    return ((bits >> np.uint64(40)).astype(np.float64) / 2**23 - 1).astype(np.float32).reshape(shape)


def tiny_weights(config: LlamaConfig, seed: int = 0) -> dict[str, np.ndarray]:
    """Return weights that give logits of a few nats: norms around 1, projections of a size that keeps the variance."""
    drawn = {}
    for index, (name, shape) in enumerate(weight_shapes(config).items()):
        values = uniform(1000 * seed + index, shape)
        drawn[name] = 1 + 0.5 * values if name.endswith("norm") else values * np.float32(2.0 / np.sqrt(shape[-1]))
    return drawn


def prompts(config: LlamaConfig) -> list[list[int]]:
    """Return a prompt of each of LENGTHS."""
    ids = ((uniform(77, (len(LENGTHS), int(LENGTHS.max()))) + 1) / 2 * config.vocab_size).astype(int)
    return [row[:length].tolist() for row, length in zip(ids, LENGTHS)]
