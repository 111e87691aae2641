"""LOW: temperature -0.001 was answered with token 0; refuse T < 0, or declare negative_temperature

claim    negative_temperature_is_refused
target   llama.cpp:python_sampler
stages   repetition_penalty > frequency_penalty > presence_penalty > top_k > typical_p > top_p > min_p > temperature; returns tokens

usage    python e4b449bbce.py
exit     1 the defect shows, 0 it does not, 2 the target cannot be loaded

Runs without samplerfuzz. Seen with llama-cpp-python 0.3.36.
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
    "logits": [[0.0, 0.3]],
    "repetition_penalty": [1.0],
    "frequency_penalty": [0.0],
    "presence_penalty": [0.0],
    "top_k": [0.0],
    "typical_p": [1.0],
    "top_p": [1.0],
    "min_p": [0.0],
    "temperature": [-0.001],
    "history": [[]],
    "prompt_length": [0],
    "seed": [768986886],
}
PARAMETERS = ['repetition_penalty', 'frequency_penalty', 'presence_penalty', 'top_k', 'typical_p', 'top_p', 'min_p', 'temperature']
INTEGERS = ['top_k']
PER_ROW = True  # an array [B] for each parameter
RETURNS = "tokens"
ROW = 0
NEVER = [0]


def load():
    """Return the function that is tested: how samplerfuzz calls llama.cpp."""
    import ctypes
    import os
    import types
    import numpy as np

    os.environ.setdefault("GGML_NO_BACKTRACE", "1")

    import llama_cpp

    CANDIDATE = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])

    def chained(samplers):
        chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        for sampler in samplers:
            llama_cpp.llama_sampler_chain_add(chain, sampler)
        return chain

    def applied(chain, row):
        """Return the candidates that are left, and the id of the one that is selected."""
        candidates = np.zeros(len(row), CANDIDATE)
        candidates["id"], candidates["logit"] = np.arange(len(row)), row
        pointer = candidates.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
        array = llama_cpp.llama_token_data_array(data=pointer, size=len(row), selected=-1, sorted=False)
        llama_cpp.llama_sampler_apply(chain, ctypes.byref(array))
        size = array.size * CANDIDATE.itemsize
        left = np.ctypeslib.as_array(ctypes.cast(array.data, ctypes.POINTER(ctypes.c_uint8)), (size,)).view(CANDIDATE).copy()
        return left, left["id"][array.selected] if 0 <= array.selected < len(left) else -1

    def told(chain, history):
        for token in history:
            llama_cpp.llama_sampler_accept(chain, int(token))

    def filtered(logits, samplers, history=None):
        out = np.full(logits.shape, -np.inf, np.float32)
        for index, row in enumerate(logits):
            chain = chained(samplers(index))
            told(chain, [] if history is None else history[index])
            left, _ = applied(chain, row)
            out[index, left["id"]] = left["logit"]
            llama_cpp.llama_sampler_free(chain)
        return out

    def top_k(logits, top_k):
        """llama_sampler_init_top_k"""
        return filtered(logits, lambda i: [llama_cpp.llama_sampler_init_top_k(int(top_k[i]))])

    def top_p(logits, top_p, min_tokens_to_keep):
        """llama_sampler_init_top_p"""
        return filtered(logits, lambda i: [llama_cpp.llama_sampler_init_top_p(top_p[i], int(min_tokens_to_keep[i]))])

    def min_p(logits, min_p, min_tokens_to_keep):
        """llama_sampler_init_min_p"""
        return filtered(logits, lambda i: [llama_cpp.llama_sampler_init_min_p(min_p[i], int(min_tokens_to_keep[i]))])

    def typical_p(logits, typical_p, min_tokens_to_keep):
        """llama_sampler_init_typical"""
        return filtered(logits, lambda i: [llama_cpp.llama_sampler_init_typical(typical_p[i], int(min_tokens_to_keep[i]))])

    def temperature(logits, temperature):
        """llama_sampler_init_temp"""
        return filtered(logits, lambda i: [llama_cpp.llama_sampler_init_temp(temperature[i])])

    def made_by_python(size, seed, **parameters):
        """Return the chain of llama-cpp-python's `create_completion`."""
        llama = types.SimpleNamespace(_n_vocab=size, _seed=int(seed), last_n_tokens_size=4096)
        return llama_cpp.Llama._init_sampler(llama, **parameters)

    def python_sampler(
        logits, output, repetition_penalty, frequency_penalty, presence_penalty, top_k, typical_p, top_p, min_p, temperature, seed
    ):  # fmt: skip
        """llama_cpp.Llama._init_sampler, the chain of llama-cpp-python's create_completion"""
        out = np.zeros(len(logits), np.int64)
        for index, row in enumerate(logits):
            sampler = made_by_python(
                len(row),
                seed[index],
                top_k=int(top_k[index]),
                top_p=top_p[index],
                min_p=min_p[index],
                typical_p=typical_p[index],
                temp=temperature[index],
                repeat_penalty=repetition_penalty[index],
                frequency_penalty=frequency_penalty[index],
                presence_penalty=presence_penalty[index],
                mirostat_mode=0,
            )
            told(sampler.sampler, output[index])
            _, out[index] = applied(sampler.sampler, row)
            sampler.close()
        return out

    return python_sampler



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
