"""Hugging Face directories: written and read back, sharded, and every way in which one can be wrong."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny_llama import CASES, tiny_weights

from samplerfuzz import llama
from samplerfuzz.core.errors import ModelError, ParameterError

CONFIG = CASES["gqa_untied"]


def model_of(name: str = "gqa_untied") -> llama.LlamaModel:
    return llama.LlamaModel(CASES[name], {key: jnp.asarray(value) for key, value in tiny_weights(CASES[name]).items()})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    llama.save_safetensors(tmp_path / "model", model_of())
    return tmp_path / "model"


def change_config(folder, **changes):
    path = folder / "config.json"
    data = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not ...}))


def shard(folder):
    """Split model.safetensors in two and write the index; return the table."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    table = {name: f"model-{1 + index % 2:05}-of-00002.safetensors" for index, name in enumerate(sorted(tensors))}
    for file in set(table.values()):
        save_file({name: tensors[name] for name in table if table[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": table}))
    return table


@pytest.mark.parametrize("name", CASES)
def test_what_is_saved_is_loaded(tmp_path, name):
    llama.save_safetensors(tmp_path, model_of(name))
    model, config = llama.load_model(tmp_path)
    assert config == CASES[name] == llama.load_config(tmp_path)
    for key, value in tiny_weights(config).items():
        np.testing.assert_array_equal(model.weights()[key], value)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_files_are_read(tmp_path, dtype):
    llama.save_safetensors(tmp_path, model_of(), dtype=dtype)
    model, _ = llama.load_model(tmp_path)
    for key, value in tiny_weights(CONFIG).items():
        np.testing.assert_array_equal(model.weights()[key], np.asarray(jnp.asarray(value).astype(dtype).astype(jnp.float32)))


def test_a_model_is_loaded_in_bfloat16(saved):
    model, _ = llama.load_model(saved, dtype="bfloat16")
    assert model.dtype == jnp.bfloat16
    with pytest.raises(ParameterError, match="expected float32 or bfloat16"):
        llama.load_model(saved, dtype="float16")


def test_shards_are_read_through_their_index(saved):
    shard(saved)
    model, _ = llama.load_model(saved)
    np.testing.assert_array_equal(model.weights()["down"], tiny_weights(CONFIG)["down"])


def test_the_words_of_transformers_5_are_read(saved):
    rope = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    change_config(saved, rope_theta=..., rope_scaling=..., rope_parameters={**rope, "original_max_position_embeddings": 64})
    config = llama.load_config(saved)
    assert config.rope_theta == 5e5
    assert config.rope_scaling == CASES["gqa_llama3_rope"].rope_scaling


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gpt2"}, "model_type: expected 'llama', found 'gpt2'"),
        ({"model_type": ...}, "model_type is missing; expected str"),
        ({"attention_bias": True}, "attention_bias: expected False, found True, which is not supported"),
        ({"mlp_bias": True}, "mlp_bias: expected False"),
        ({"hidden_act": "gelu"}, "hidden_act: expected 'silu', found 'gelu'"),
        ({"quantization_config": {"bits": 4}}, "quantization_config: expected None"),
        ({"hidden_size": "32"}, "hidden_size: expected int, found '32'"),
        ({"hidden_size": True}, "hidden_size: expected int, found True"),
        ({"num_key_value_heads": 3}, "num_kv_heads = 3: expected a divisor of num_heads = 4"),
        ({"rms_norm_eps": -1.0}, "rms_norm_eps = -1.0: expected a finite number > 0"),
        (
            {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}},
            "rope_scaling.rope_type: expected 'default', 'linear' or 'llama3', found 'yarn'",
        ),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 2.0}}, "rope_scaling.low_freq_factor is missing; expected float"),
        ({"rope_scaling": 3}, "rope_scaling: expected an object, found 3"),
        ({"vocab_size": 98}, r"'model.embed_tokens.weight': expected shape \(98, 32\), found \(97, 32\)"),
        ({"num_hidden_layers": 4}, r"'model.layers.3.input_layernorm.weight' is missing; expected it with shape \(32,\)"),
        ({"num_hidden_layers": 2}, "9 tensor.s. a plain LLaMA does not have"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_wrong_config_is_refused_by_name(saved, changes, message):
    change_config(saved, **changes)
    with pytest.raises(ModelError, match=message) as refused:
        llama.load_model(saved)
    assert str(saved) in str(refused.value)


def test_a_head_beside_tied_embeddings_is_not_used(saved):
    change_config(saved, tie_word_embeddings=True)
    model, _ = llama.load_model(saved)
    assert model.head is None


@pytest.mark.parametrize("text", ["{", "[]", "", "\x00", "[" * 100000])
def test_damaged_json_names_the_file(saved, text):
    (saved / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config\.json: expected"):
        llama.load_model(saved)


def test_a_truncated_file_is_refused(saved):
    file = saved / "model.safetensors"
    whole = file.read_bytes()
    for size in (0, 4, 100, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"model\.safetensors: expected a whole safetensors file"):
            llama.load_model(saved)


def test_a_missing_shard_is_named(saved):
    table = shard(saved)
    gone = sorted(set(table.values()))[1]
    (saved / gone).unlink()
    with pytest.raises(
        ModelError, match=f"{gone}: this shard is missing; .* expects {sum(file == gone for file in table.values())} tensor"
    ):
        llama.load_model(saved)


def test_an_index_that_lies_is_refused(saved):
    table = shard(saved)
    name, other = "model.norm.weight", {*table.values()}
    table[name] = (other - {table[name]}).pop()
    (saved / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))
    with pytest.raises(ModelError, match=r"tensor 'model\.norm\.weight' is missing; model\.safetensors\.index\.json says"):
        llama.load_model(saved)


@pytest.mark.parametrize("file", ["../model.safetensors", "/etc/passwd", "pytorch_model-00001.bin"])
def test_an_index_reaches_nothing_but_safetensors_beside_it(saved, file):
    table = shard(saved)
    (saved / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {**table, "model.norm.weight": file}}))
    with pytest.raises(ModelError, match=r"expected the name of a \.safetensors file beside it"):
        llama.load_model(saved)


@pytest.mark.parametrize("table", [None, {}, [], {"model.norm.weight": 3}])
def test_an_index_without_a_table_is_refused(saved, table):
    shard(saved)
    (saved / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))
    with pytest.raises(ModelError, match="'weight_map': expected an object"):
        llama.load_model(saved)


def test_a_tensor_of_integers_is_refused(saved):
    tensors = load_file(saved / "model.safetensors")
    save_file({**tensors, "model.norm.weight": np.ones(32, np.int8)}, saved / "model.safetensors")
    with pytest.raises(ModelError, match=r"'model\.norm\.weight': expected one of .*, found I8"):
        llama.load_model(saved)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth", "model.pt"])
def test_pickles_are_refused(saved, name):
    (saved / name).write_bytes(b"\x80\x04")
    with pytest.raises(ModelError, match="a pickle can run code and is refused"):
        llama.load_model(saved / name)
    (saved / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=f"found only pickles .{name}.*refused"):
        llama.load_model(saved)


def test_a_path_to_nothing_is_a_clear_error(tmp_path):
    with pytest.raises(ModelError, match="found nothing there"):
        llama.load_model(tmp_path / "absent")
    with pytest.raises(ModelError, match=r"config\.json: cannot be read"):
        llama.load_model(tmp_path)


def test_a_bare_safetensors_file_asks_for_its_directory(saved):
    with pytest.raises(ModelError, match="expected the directory that holds it"):
        llama.load_model(saved / "model.safetensors")


def test_a_directory_without_weights_is_a_clear_error(saved):
    (saved / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"expected model\.safetensors or model\.safetensors\.index\.json, found neither"):
        llama.load_model(saved)


def test_random_weights_make_a_model(tmp_path):
    import jax

    model = llama.LlamaModel(CONFIG, llama.random_weights(CONFIG, jax.random.key(0)))
    logits, _ = llama.prefill(model, [[1, 2, 3]])
    assert 0 < float(logits.std()) < 1
