"""GGUF files: every quantisation, the order of rotary rows, scaling, and every way in which a file can be wrong."""

import contextlib
import dataclasses
import struct
from pathlib import Path

import gguf
import jax.numpy as jnp
import numpy as np
import pytest
from agreement import max_abs
from tiny_llama import prompts, tiny_weights

from samplerfuzz import llama
from samplerfuzz.core.errors import ModelError
from samplerfuzz.llama.gguf_file import NAMING
from samplerfuzz.llama.weights import BLOCK, file_names

CONFIG = llama.LlamaConfig(
    vocab_size=64, hidden_size=64, intermediate_size=96, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=16, max_position=128
)
TIED = dataclasses.replace(CONFIG, tie_embeddings=True)
Kind = gguf.GGMLQuantizationType


def neighbours_from_halves(rows, head_dim):
    """The order in which llama.cpp stores query and key rows: the pair (i, i + D/2) side by side. One row at a time, to be plain."""
    out = np.empty_like(rows)
    for index in range(len(rows)):
        head, inside = divmod(index, head_dim)
        pair, second = divmod(inside, 2)
        out[index] = rows[head * head_dim + pair + second * head_dim // 2]
    return out


def write(path, config=CONFIG, *, kind=Kind.F32, metadata=(), without=(), extra=None, replaced=None):
    """Write the tiny model of `config` as GGUF; `metadata`, `without`, `extra` and `replaced` make it wrong or special."""
    writer = gguf.GGUFWriter(path, dict(metadata).pop("general.architecture", "llama"))
    values = {
        "llama.context_length": config.max_position,
        "llama.embedding_length": config.hidden_size,
        "llama.feed_forward_length": config.intermediate_size,
        "llama.block_count": config.num_layers,
        "llama.attention.head_count": config.num_heads,
        "llama.attention.head_count_kv": config.num_kv_heads,
        "llama.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "llama.rope.freq_base": config.rope_theta,
        "llama.rope.dimension_count": config.head_dim,
        **{key: value for key, value in dict(metadata).items() if key != "general.architecture"},
    }
    for key, value in values.items():
        if key in without:
            continue
        {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}[type(value)](key, value)
    tensors = {}
    names = file_names(config, NAMING)
    for name, array in tiny_weights(config).items():
        for layer, file in enumerate(names[name]):
            tensor = array[layer] if name in BLOCK else array
            tensors[file] = neighbours_from_halves(tensor, config.head_dim) if name in ("query", "key") else tensor
    tensors.update(extra or {})
    tensors.update(replaced or {})
    for file, tensor in tensors.items():
        if file in without:
            continue
        if tensor.ndim == 1 or kind == Kind.F32:
            writer.add_tensor(file, tensor)
        else:
            writer.add_tensor(file, gguf.quantize(tensor, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tiny.gguf"


def expected_logits(config):
    model = llama.LlamaModel(config, {name: jnp.asarray(value) for name, value in tiny_weights(config).items()})
    return np.asarray(llama.logits_all(model, [prompts(config)[0]]))


@pytest.mark.parametrize("config", [CONFIG, TIED], ids=["head", "tied"])
def test_a_float32_file_is_the_model_exactly(path, config):
    model, found = llama.load_model(write(path, config))
    assert found == dataclasses.replace(config, rms_norm_eps=float(np.float32(1e-5)))
    for name, array in tiny_weights(config).items():
        np.testing.assert_array_equal(model.weights()[name], array)
    assert max_abs(np.asarray(llama.logits_all(model, [prompts(config)[0]])), expected_logits(config)) < 1e-5


@pytest.mark.parametrize("kind", [Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q4_0, Kind.Q4_1, Kind.Q5_0, Kind.Q5_1], ids=lambda kind: kind.name)
def test_a_quantised_file_is_read_as_its_dequantised_values(path, kind):
    model, _ = llama.load_model(write(path, kind=kind))
    array = tiny_weights(CONFIG)["down"][1]
    expected = gguf.dequantize(gguf.quantize(array, kind), kind)
    np.testing.assert_array_equal(model.weights()["down"][1], expected)
    assert not np.array_equal(expected, array) or kind == Kind.F32


@pytest.mark.parametrize("kind", sorted(gguf.quants._type_traits, key=lambda kind: kind.name), ids=lambda kind: kind.name)
def test_every_type_that_gguf_dequantises_passes_through(path, kind):
    """K-quants and the rest cannot be made by the package: a raw block of small integers stands for a quantised tensor."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    width = max(block, 256)
    raw = np.random.default_rng(0).integers(0, 60, (3, width // block * size), dtype=np.uint8)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor("token_embd.weight", raw, raw_dtype=kind)
    for key in ("context_length", "embedding_length", "feed_forward_length", "block_count", "attention.head_count"):
        writer.add_uint32(f"llama.{key}", {"embedding_length": width}.get(key, 1))
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    from samplerfuzz.llama.gguf_file import GGUFTensors

    tensors = GGUFTensors(path)
    assert tensors.shape("token_embd.weight") == (3, width)
    np.testing.assert_array_equal(tensors.read("token_embd.weight"), gguf.dequantize(raw, kind))


def test_frequency_divisors_stretch_the_rotation(path):
    factors = np.array([1, 1, 1, 2, 3, 8, 8, 8], np.float32)
    model, config = llama.load_model(write(path, extra={"rope_freqs.weight": factors}))
    assert config.rope_factors == tuple(factors.tolist())
    wanted = dataclasses.replace(CONFIG, rope_factors=tuple(factors.tolist()))
    assert max_abs(np.asarray(llama.logits_all(model, [prompts(CONFIG)[0]])), expected_logits(wanted)) < 1e-5
    assert max_abs(expected_logits(wanted), expected_logits(CONFIG)) > 1e-3


def test_linear_scaling_divides_every_frequency(path):
    _, config = llama.load_model(write(path, metadata={"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 2.0}))
    assert config.rope_factors == (2.0,) * 8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"metadata": {"general.architecture": "falcon"}}, "expected architecture 'llama', found 'falcon'"),
        ({"metadata": {"llama.expert_count": 8}}, "a mixture of 8 experts"),
        ({"metadata": {"llama.rope.scaling.type": "yarn"}}, "'llama.rope.scaling.type': expected 'none' or 'linear', found 'yarn'"),
        ({"metadata": {"llama.rope.dimension_count": 8}}, "'llama.rope.dimension_count': expected the head size 16, found 8"),
        ({"metadata": {"llama.block_count": "two"}}, "'llama.block_count': expected int, found 'two'"),
        ({"metadata": {"llama.block_count": 3}}, r"tensor 'blk.2.attn_norm.weight' is missing; expected it with shape \(64,\)"),
        ({"metadata": {"llama.vocab_size": 65}}, r"'token_embd.weight': expected shape \(65, 64\), found \(64, 64\)"),
        ({"metadata": {"llama.feed_forward_length": 0}}, "intermediate_size = 0: expected an integer >= 1"),
        ({"metadata": {"llama.attention.head_count_kv": 3}}, "num_kv_heads = 3: expected a divisor of num_heads = 4"),
        ({"without": {"llama.context_length"}}, "metadata 'llama.context_length' is missing; expected int"),
        ({"without": {"blk.1.ffn_up.weight"}}, r"tensor 'blk.1.ffn_up.weight' is missing; expected it with shape \(96, 64\)"),
        ({"without": {"token_embd.weight"}}, "tensor 'token_embd.weight' is missing"),
        ({"extra": {"blk.0.attn_q.bias": np.ones(64, np.float32)}}, "1 tensor.s. a plain LLaMA does not have, first 'blk.0.attn_q.bias'"),
        ({"extra": {"rope_freqs.weight": np.ones(3, np.float32)}}, r"tensor 'rope_freqs.weight': expected shape \(8,\), found \(3,\)"),
        ({"replaced": {"output_norm.weight": np.ones(63, np.float32)}}, r"'output_norm.weight': expected shape \(64,\), found \(63,\)"),
        ({"replaced": {"output_norm.weight": np.full(64, np.nan, np.float32)}}, "'output_norm.weight': expected finite numbers"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_wrong_file_is_refused_by_name(path, wrong, message):
    write(path, **wrong)
    with pytest.raises(ModelError, match=message) as refused:
        llama.load_model(path)
    assert str(path) in str(refused.value)


def test_a_truncated_file_names_the_tensor(path):
    whole = write(path).read_bytes()
    path.write_bytes(whole[:-5000])
    with pytest.raises(ModelError, match=r"truncated: tensor '.+' ends at byte \d+, the file at byte \d+"):
        llama.load_model(path)


def test_a_file_cut_anywhere_is_a_clear_error(path):
    whole = write(path).read_bytes()
    for size in [*range(0, 1200, 7), *range(1200, len(whole) - 32, len(whole) // 20)]:
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"tiny\.gguf"):
            llama.load_config(path)


def test_a_damaged_header_is_a_clear_error_or_the_same_model(path):
    """No flipped byte of the header gives a traceback of another kind, or a hang."""
    whole = bytearray(write(path).read_bytes())
    for index in range(0, 900, 3):
        damaged = whole.copy()
        damaged[index] ^= 0xFF
        path.write_bytes(damaged)
        with contextlib.suppress(ModelError):
            llama.load_config(path)


def test_an_endless_array_is_refused_at_once(path):
    header = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"k" + struct.pack("<IIQ", 9, 4, 2**60)
    path.write_bytes(header)
    with pytest.raises(ModelError, match="truncated"):
        llama.load_model(path)
