"""HIGH: token 0 must stay and has no probability

claim    kept_token_has_probability
target   llama.cpp:bias_between_filters
stages   top_k > logit_bias > top_p; returns logits

usage    python 5867ee998b.py
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
    "logits": [[-2.0, 1.0, 0.0]],
    "top_k": [13.0],
    "logit_bias": [{0: 3.0}],
    "top_p": [0.5],
}
PARAMETERS = ['top_k', 'logit_bias', 'top_p']
INTEGERS = ['top_k']
COLLECTIONS = ['logit_bias']  # by token id
PER_ROW = True  # an array [B] for each parameter
RETURNS = "logits"
ROW = 0
MUST = [0, 1]
NEVER = [2]
LEAST = 2
MOST = 2


def load():
    """Return the function that is tested: how samplerfuzz calls llama.cpp."""
    import ctypes
    import os
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

    def biased(size, bias):
        pairs = [llama_cpp.llama_logit_bias(token, addend) for token, addend in bias.items()]
        return llama_cpp.llama_sampler_init_logit_bias(size, len(pairs), (llama_cpp.llama_logit_bias * len(pairs))(*pairs))

    def top_k(logits, top_k):
        """llama_sampler_init_top_k"""
        return filtered(logits, lambda i: [llama_cpp.llama_sampler_init_top_k(int(top_k[i]))])

    def top_p(logits, top_p, min_tokens_to_keep):
        """llama_sampler_init_top_p"""
        return filtered(logits, lambda i: [llama_cpp.llama_sampler_init_top_p(top_p[i], int(min_tokens_to_keep[i]))])

    def logit_bias(logits, logit_bias):
        """llama_sampler_init_logit_bias"""
        return filtered(logits, lambda i: [biased(logits.shape[1], logit_bias[i])])

    def bias_between_filters(logits, top_k, logit_bias, top_p):
        """llama_sampler_init_logit_bias after llama_sampler_init_top_k and before llama_sampler_init_top_p"""
        return filtered(
            logits,
            lambda i: [
                llama_cpp.llama_sampler_init_top_k(int(top_k[i])),
                biased(logits.shape[1], logit_bias[i]),
                llama_cpp.llama_sampler_init_top_p(top_p[i], 0),
            ],
        )

    return bias_between_filters



def take(case, rows):
    """Return the case of some rows."""
    return {name: [values[r] for r in rows] for name, values in case.items()}


def arguments(case):
    """Return logits [B, V] and the keyword arguments that the function accepts."""
    given = {}
    for name in PARAMETERS:
        if name in COLLECTIONS:
            given[name] = case[name] if PER_ROW else case[name][0]
            continue
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
    """Do the tokens with probability contradict what every correct implementation agrees on?"""
    print(f"expected  keep {MUST}")
    print(f"          remove {NEVER}")
    print(f"          from {LEAST} to {MOST} token(s) in all")
    for _ in range(1 if ACCEPTED & {"seed", "u"} or "xtc_probability" not in PARAMETERS else 2000):
        kind, answer = call(CASE)
        if kind != "value":
            print(f"got       {kind}: {answer}")
            return False
        p = probabilities(answer)[ROW]
        kept = np.flatnonzero(p > 0).tolist()
        wrong = not np.isnan(p).any() and bool(set(kept) & set(NEVER) or set(MUST) - set(kept) or not LEAST <= len(kept) <= MOST)
        if wrong:
            break
    print(f"got       kept {kept}, with probabilities {p}")
    return wrong



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
