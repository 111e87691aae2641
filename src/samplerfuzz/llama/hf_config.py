"""`config.json` of a Hugging Face LLaMA, in the words of transformers 4 (`rope_scaling`) and 5 (`rope_parameters`).

Source: https://huggingface.co/docs/transformers/model_doc/llama.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samplerfuzz.core.errors import ModelError, ParameterError
from samplerfuzz.llama.config import LlamaConfig, RopeScaling

_ABSENT: Any = object()


class _Fields:
    """Typed access to a JSON object; errors name the file and the key."""

    def __init__(self, data: dict[str, Any], path: Path, prefix: str = "") -> None:
        self._data, self._path, self._prefix = data, path, prefix

    def get(self, key: str, kind: type, default: Any = _ABSENT) -> Any:
        value = self._data.get(key)
        if value is None:
            if default is _ABSENT:
                raise ModelError(f"{self._path}: {self._prefix}{key} is missing; expected {kind.__name__}")
            return default
        accepted = (int, float) if kind is float else (kind,)
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise ModelError(f"{self._path}: {self._prefix}{key}: expected {kind.__name__}, found {value!r}")
        return kind(value)

    def refuse(self, key: str, neutral: Any) -> None:
        value = self._data.get(key)
        if value is not None and value != neutral:
            raise ModelError(f"{self._path}: {self._prefix}{key}: expected {neutral!r}, found {value!r}, which is not supported")


def _rope(data: dict[str, Any], path: Path, head_dim: int) -> dict[str, Any]:
    where = "rope_parameters" if data.get("rope_parameters") is not None else "rope_scaling"
    table = data.get(where) or {}
    if not isinstance(table, dict):
        raise ModelError(f"{path}: {where}: expected an object, found {table!r}")
    fields = _Fields(table, path, f"{where}.")
    theta = fields.get("rope_theta", float, _Fields(data, path).get("rope_theta", float, 10000.0))
    kind = fields.get("rope_type", str, fields.get("type", str, "default"))
    if kind == "default":
        return {"rope_theta": theta}
    if kind == "linear":
        return {"rope_theta": theta, "rope_factors": (fields.get("factor", float),) * (head_dim // 2)}
    if kind == "llama3":
        scaling = RopeScaling(
            factor=fields.get("factor", float),
            low_freq_factor=fields.get("low_freq_factor", float),
            high_freq_factor=fields.get("high_freq_factor", float),
            original_max_position=fields.get("original_max_position_embeddings", int),
        )
        return {"rope_theta": theta, "rope_scaling": scaling}
    raise ModelError(f"{path}: {where}.rope_type: expected 'default', 'linear' or 'llama3', found {kind!r}")


def config_from_json(data: dict[str, Any], path: Path) -> LlamaConfig:
    """Return the configuration that `data`, read from `path`, describes.

    Raises:
        ModelError: another architecture, a missing or impossible value, biases, quantised weights.
    """
    fields = _Fields(data, path)
    kind = fields.get("model_type", str)
    if kind != "llama":
        raise ModelError(f"{path}: model_type: expected 'llama', found {kind!r}: this architecture is not supported")
    for key, neutral in (("attention_bias", False), ("mlp_bias", False), ("hidden_act", "silu"), ("quantization_config", None)):
        fields.refuse(key, neutral)
    fields.refuse("pretraining_tp", 1)
    width, heads = fields.get("hidden_size", int), fields.get("num_attention_heads", int)
    head_dim = fields.get("head_dim", int, width // max(heads, 1))
    try:
        return LlamaConfig(
            vocab_size=fields.get("vocab_size", int),
            hidden_size=width,
            intermediate_size=fields.get("intermediate_size", int),
            num_layers=fields.get("num_hidden_layers", int),
            num_heads=heads,
            num_kv_heads=fields.get("num_key_value_heads", int, heads),
            head_dim=head_dim,
            rms_norm_eps=fields.get("rms_norm_eps", float, 1e-6),
            tie_embeddings=fields.get("tie_word_embeddings", bool, False),
            max_position=fields.get("max_position_embeddings", int, 2048),
            **_rope(data, path, head_dim),
        )
    except ParameterError as error:
        raise ModelError(f"{path}: {error}") from error


def config_as_json(config: LlamaConfig, *, dtype: str) -> dict[str, Any]:
    """Return what `config_from_json` reads back, in words that transformers 4 and 5 both understand.

    Raises:
        ModelError: rotary factors that differ from pair to pair: only a GGUF file can carry them.
    """
    rope: dict[str, Any] = {"rope_type": "default"}
    if config.rope_scaling is not None:
        scaling = config.rope_scaling
        rope = {
            "rope_type": "llama3",
            "factor": scaling.factor,
            "low_freq_factor": scaling.low_freq_factor,
            "high_freq_factor": scaling.high_freq_factor,
            "original_max_position_embeddings": scaling.original_max_position,
        }
    if config.rope_factors is not None:
        if len(set(config.rope_factors)) > 1:
            raise ModelError("rope_factors: config.json can carry one factor for all pairs, found several")
        rope = {"rope_type": "linear", "factor": config.rope_factors[0]}
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        "rope_scaling": None if rope["rope_type"] == "default" else rope,
        "tie_word_embeddings": config.tie_embeddings,
        "max_position_embeddings": config.max_position,
        "attention_bias": False,
        "mlp_bias": False,
        "torch_dtype": dtype,
    }
