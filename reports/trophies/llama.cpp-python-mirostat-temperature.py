"""HIGH: token 0 must be removed and was given probability

claim    removed_token_has_no_probability
target   llama.cpp:python_mirostat
stages   temperature > mirostat; returns tokens

usage    python f6caf441d8.py
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
    "logits": [[X('-0x1.51c93d9663843p+4'), X('-0x1.3b2256366d7a5p+4')]],
    "temperature": [0.5],
    "mirostat": [2.0],
    "mirostat_tau": [2.0],
    "mirostat_eta": [1.0],
    "seed": [1914084472],
}
PARAMETERS = ['temperature', 'mirostat', 'mirostat_tau', 'mirostat_eta']
INTEGERS = ['mirostat']
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

    def version():
        return f"llama-cpp-python {llama_cpp.__version__}"

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

    def bounded(size, version, tau, eta, seed):
        if version == 1:
            return llama_cpp.llama_sampler_init_mirostat(size, int(seed), tau, eta, 100)
        if version == 2:
            return llama_cpp.llama_sampler_init_mirostat_v2(int(seed), tau, eta)
        raise ValueError("mirostat is 1 or 2 where it is in the chain")

    def temperature(logits, temperature):
        """llama_sampler_init_temp"""
        return filtered(logits, lambda i: [llama_cpp.llama_sampler_init_temp(temperature[i])])

    def mirostat(logits, mirostat, mirostat_tau, mirostat_eta, seed):
        """llama_sampler_init_mirostat or llama_sampler_init_mirostat_v2: what they leave to draw from at the first step"""
        own = list(zip(mirostat, mirostat_tau, mirostat_eta, seed, strict=True))
        return filtered(logits, lambda i: [bounded(logits.shape[1], *own[i])])

    def made_by_python(size, seed, **parameters):
        """Return the chain of llama-cpp-python's `create_completion`."""
        llama = types.SimpleNamespace(_n_vocab=size, _seed=int(seed), last_n_tokens_size=4096)
        return llama_cpp.Llama._init_sampler(llama, **parameters)

    def python_mirostat(logits, temperature, mirostat, mirostat_tau, mirostat_eta, seed):
        """llama_cpp.Llama._init_sampler with mirostat_mode, the first draw"""
        out = np.zeros(len(logits), np.int64)
        for index, row in enumerate(logits):
            if mirostat[index] not in (1, 2):
                raise ValueError("mirostat_mode is 1 or 2 where it is on")
            sampler = made_by_python(
                len(row),
                seed[index],
                temp=temperature[index],
                mirostat_mode=int(mirostat[index]),
                mirostat_tau=mirostat_tau[index],
                mirostat_eta=mirostat_eta[index],
                repeat_penalty=1.0,
                frequency_penalty=0.0,
                presence_penalty=0.0,
            )
            _, out[index] = applied(sampler.sampler, row)
            sampler.close()
        return out

    return python_mirostat



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
