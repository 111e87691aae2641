"""HIGH: token 0 must be removed and was given probability

claim    removed_token_has_no_probability
target   onnxruntime-genai:top_p
stages   top_p; returns tokens

usage    python 6f39b0c375.py
exit     1 the defect shows, 0 it does not, 2 the target cannot be loaded

Runs without samplerfuzz. Seen with onnxruntime-genai 0.18.0.
"""

import importlib
import inspect
import os
import sys

import numpy as np

np.set_printoptions(precision=6, suppress=True, linewidth=120, threshold=64)
X = float.fromhex
inf, nan = float("inf"), float("nan")

# The input, one entry a row, every bit as it was found.
CASE = {
    "logits": [[3.8, -3.7, 3.8, -3.6, -3.9, 4.2, -4.4, -4.1, -3.8, -4.1, -4.3, -4.3, 4.2, 4.7, -3.8, -4.2, 3.7, -3.8, -3.5, 4.3, -4.1, -4.1, 3.4, -4.2, 4.0, -3.5, -4.6, 3.5, -4.2, -3.8, -3.7, 3.7, -3.7, -4.2, -4.4, -3.7, -4.1, 4.1, -4.0, -3.9, -3.6, -4.2, -3.7, -4.1, -3.8, -4.1, -4.3, -4.0, -4.3, -3.8, -4.3, -3.9, -3.8, -4.0, 3.7, -4.1, -4.3, -4.4, -3.6, -4.2, 3.3, 3.6, -4.4, -4.1, -4.2]],
    "top_p": [0.5],
    "seed": [0],
}
PARAMETERS = ['top_p']
INTEGERS = []
PER_ROW = True  # an array [B] for each parameter
RETURNS = "tokens"
ROW = 0
NEVER = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 18, 20, 21, 22, 23, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64]


def load():
    """Return the function that is tested: how samplerfuzz calls onnxruntime-genai."""
    import functools
    import json
    import tempfile

    from pathlib import Path

    import numpy as np
    import onnx
    import onnxruntime_genai

    from onnx import TensorProto, helper

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
            "session_options": {"provider_options": []},
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

    def top_p(logits, top_p, seed):
        """Generator.generate_next_token with do_sample and top_p"""
        return alone(
            logits, lambda i: {"do_sample": True, "top_k": 0, "top_p": float(top_p[i]), "temperature": 1.0, "random_seed": int(seed[i])}
        )

    return top_p



def take(case, rows):
    """Return the case of some rows."""
    return {name: [values[r] for r in rows] for name, values in case.items()}


def arguments(case):
    """Return logits [B, V] and the keyword arguments that the function accepts."""
    given = {}
    for name in PARAMETERS:
        values = np.asarray(case[name], np.float64)
        values = values.astype(np.int64) if name in INTEGERS else values
        given[name] = values if PER_ROW else values[0].item()
    rows = len(case["logits"])
    history = [np.array(ids, np.int64) for ids in case.get("history", [[]] * rows)]
    prompt = case.get("prompt_length", [0] * rows)
    seeds = np.array(case.get("seed", [0] * rows), np.int64)
    inputs = {
        "history": history,
        "prompt": [ids[:n] for ids, n in zip(history, prompt)],
        "output": [ids[n:] for ids, n in zip(history, prompt)],
        "seed": seeds if PER_ROW else int(seeds[0]),
        "u": np.array(case.get("u", [0.5] * rows), np.float64),
    }
    given.update((name, value) for name, value in inputs.items() if name in ACCEPTED)
    return np.array(case["logits"], np.float32), given


def call(case):
    """Call the target once: ("value", array), ("raised", message) or ("malformed", message)."""
    logits, given = arguments(case)
    try:
        with np.errstate(all="ignore"):
            value = FUNCTION(logits, **given)
    except Exception as error:
        return "raised", f"{type(error).__name__}: {error}"
    try:
        answer = np.asarray(value)
        answer = answer if answer.dtype.kind in "iu" else answer.astype(np.float64)
    except (TypeError, ValueError):
        return "malformed", f"a {type(value).__name__}, no array"
    shape = (len(case["logits"]),) if RETURNS == "tokens" else (len(case["logits"]), len(case["logits"][0]))
    if answer.shape != shape or (RETURNS == "tokens" and answer.dtype.kind not in "iu"):
        return "malformed", f"shape {answer.shape} of {answer.dtype}; expected {shape} for {RETURNS}"
    return "value", answer


def probabilities(answer):
    """Return [B, V] probabilities; NaN for a row with NaN, +inf or a negative probability; zeros for an empty row."""
    p = np.array(answer, np.float64)
    with np.errstate(all="ignore"):
        if RETURNS == "probs":
            p[~np.isfinite(p).all(-1) | (p < 0).any(-1)] = np.nan
            return p
        poisoned = np.isnan(p).any(-1) | np.isposinf(p).any(-1)
        top = p.max(-1, keepdims=True)
        p = np.exp(p - np.where(np.isfinite(top), top, 0))
        total = p.sum(-1, keepdims=True)
        p = p / np.where(total > 0, total, 1)
    p[poisoned] = np.nan
    return p


def defect():
    """Is a token drawn that every correct implementation removes?"""
    print(f"expected  none of the tokens {NEVER}")
    for _ in range(1 if ACCEPTED & {"seed", "u"} else 2000):
        kind, answer = call(CASE)
        if kind not in ("value", "other") or (kind == "value" and int(answer[ROW]) in NEVER):
            break
    print(f"got       {kind}: {'token ' + str(answer[ROW]) if kind == 'value' else answer}")
    return kind == "value" and int(answer[ROW]) in NEVER



if __name__ == "__main__":
    try:
        FUNCTION = load()
        ACCEPTED = set(inspect.signature(FUNCTION).parameters)
    except BaseException as error:
        print(f"cannot load the target: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
    reproduces = defect()
    print("the defect REPRODUCES" if reproduces else "the defect does not reproduce")
    sys.stdout.flush()
    os._exit(1 if reproduces else 0)
