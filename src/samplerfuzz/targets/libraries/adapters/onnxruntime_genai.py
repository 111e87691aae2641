"""onnxruntime-genai: the tokens that `Generator.generate_next_token` draws from logits that it is given.

It draws for a model only, so there is one of six nodes, whose own logits are replaced by `Generator.set_logits`. The vocabulary is the model's:
each size has its own. A row is a request, or all rows are the batch of one generator.
"""

import functools
import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime_genai
from onnx import TensorProto, helper

import samplerfuzz as sf

LACKS = {}


def version():
    return f"onnxruntime-genai {onnxruntime_genai.__version__}"


def graph(size):
    """Return a decoder of one head of size one, which remembers what it read and answers zeros."""
    past, present = ["past.0.key", "past.0.value"], ["present.0.key", "present.0.value"]
    constants = [
        helper.make_tensor("last", TensorProto.INT64, [1], [-1]),
        helper.make_tensor("around", TensorProto.INT64, [2], [1, 3]),
        helper.make_tensor("zeros", TensorProto.FLOAT, [1, size], np.zeros(size, np.float32)),
    ]
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["read"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["read", "last"], ["column"]),
        helper.make_node("MatMul", ["column", "zeros"], ["logits"]),
        helper.make_node("Unsqueeze", ["read", "around"], ["state"]),
        *(helper.make_node("Concat", [before, "state"], [after], axis=2) for before, after in zip(past, present, strict=True)),
    ]
    inputs = [
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"]),
        helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "total"]),
        *(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1, "before", 1]) for name in past),
    ]
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "length", size]),
        *(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1, "after", 1]) for name in present),
    ]
    made = helper.make_graph(nodes, "decoder", inputs, outputs, constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def configuration(size):
    decoder = {
        # a pool of threads for each model, whose threads spin for work, is slower than one
        "session_options": {"provider_options": [], "intra_op_num_threads": 1, "inter_op_num_threads": 1},
        "filename": "model.onnx",
        "head_size": 1,
        "hidden_size": 1,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "num_hidden_layers": 1,
        "inputs": {
            "input_ids": "input_ids",
            "attention_mask": "attention_mask",
            "past_key_names": "past.%d.key",
            "past_value_names": "past.%d.value",
        },
        "outputs": {"logits": "logits", "present_key_names": "present.%d.key", "present_value_names": "present.%d.value"},
    }
    # one step is made, and whether its token ends the text does not matter
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    return {"model": {"type": "llama", "context_length": 512, "vocab_size": size, "decoder": decoder, **ends}, "search": {}}


@functools.lru_cache(maxsize=64)
def model(size):
    with tempfile.TemporaryDirectory() as directory:
        onnx.save(graph(size), str(Path(directory) / "model.onnx"))
        (Path(directory) / "genai_config.json").write_text(json.dumps(configuration(size)))
        return onnxruntime_genai.Model(directory)


def drawn(logits, prompt, **options):
    """Return the token of each row of one batch, after a prompt that all rows have."""
    parameters = onnxruntime_genai.GeneratorParams(model(logits.shape[1]))
    parameters.set_search_options(batch_size=len(logits), max_length=512, min_length=0, num_beams=1, **options)
    generator = onnxruntime_genai.Generator(model(logits.shape[1]), parameters)
    generator.append_tokens(np.tile(np.asarray(prompt, np.int32), (len(logits), 1)))
    generator.get_logits()
    generator.set_logits(np.ascontiguousarray(logits[:, None], np.float32))
    generator.generate_next_token()
    return np.array(generator.get_next_tokens(), np.int64)


def alone(logits, options):
    return np.concatenate([drawn(logits[index : index + 1], [0], **options(index)) for index in range(len(logits))])


@sf.target(order=[], returns="tokens", per_row=True)
def sample(logits, seed):
    """Generator.generate_next_token with do_sample, top_k off and top_p off"""
    return alone(logits, lambda i: {"do_sample": True, "top_k": 0, "top_p": 1.0, "temperature": 1.0, "random_seed": int(seed[i])})


@sf.target(order=["temperature"], returns="tokens", per_row=True)
def temperature(logits, temperature, seed):
    """Generator.generate_next_token with do_sample and a temperature"""
    return alone(
        logits,
        lambda i: {"do_sample": True, "top_k": 0, "top_p": 1.0, "temperature": float(temperature[i]), "random_seed": int(seed[i])},
    )


@sf.target(order=["top_k"], returns="tokens", per_row=True)
def top_k(logits, top_k, seed):
    """Generator.generate_next_token with do_sample and top_k"""
    return alone(
        logits,
        lambda i: {"do_sample": True, "top_k": int(top_k[i]), "top_p": 1.0, "temperature": 1.0, "random_seed": int(seed[i])},
    )


@sf.target(order=["top_p"], returns="tokens", per_row=True)
def top_p(logits, top_p, seed):
    """Generator.generate_next_token with do_sample and top_p"""
    return alone(
        logits, lambda i: {"do_sample": True, "top_k": 0, "top_p": float(top_p[i]), "temperature": 1.0, "random_seed": int(seed[i])}
    )


@sf.target(order=["temperature", "top_k", "top_p"], returns="tokens", per_row=True)
def chain(logits, temperature, top_k, top_p, seed):
    """Generator.generate_next_token with do_sample, temperature, top_k and top_p"""
    return alone(
        logits,
        lambda i: {
            "do_sample": True,
            "top_k": int(top_k[i]),
            "top_p": float(top_p[i]),
            "temperature": float(temperature[i]),
            "random_seed": int(seed[i]),
        },
    )


@sf.target(order=["temperature", "top_k", "top_p"], returns="tokens")
def batch(logits, temperature, top_k, top_p, seed):
    """Generator.generate_next_token of batches of up to 32, its limit, with do_sample, temperature, top_k and top_p"""
    options = {"do_sample": True, "top_k": top_k, "top_p": top_p, "temperature": temperature}
    parts = range(0, len(logits), 32)
    return np.concatenate([drawn(logits[begin : begin + 32], [0], random_seed=seed + begin, **options) for begin in parts])


@sf.target(order=["repetition_penalty", "top_k"], returns="tokens", per_row=True)
def repetition_penalty(logits, history, repetition_penalty, top_k, seed):
    """Generator.generate_next_token with repetition_penalty, do_sample and top_k"""
    out = np.zeros(len(logits), np.int64)
    for index in range(len(logits)):
        # a generator needs a prompt: where no token was seen, one that is not penalised
        seen = len(history[index]) > 0
        out[index] = drawn(
            logits[index : index + 1],
            history[index] if seen else [0],
            do_sample=True,
            top_k=int(top_k[index]),
            top_p=1.0,
            temperature=1.0,
            repetition_penalty=float(repetition_penalty[index]) if seen else 1.0,
            random_seed=int(seed[index]),
        )[0]
    return out
