"""HIGH: token 9 must be removed and was given probability

claim    removed_token_has_no_probability
target   llama.cpp:top_k
stages   top_k; returns logits

usage    python 59a008c63a.py
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
    "logits": [[-1e+30, 1.5447009, -1e+30, 0.9761493, X('-0x1.b8d58c8eef1bbp+0'), 1e+30, X('-0x1.f2d6055ab2d40p-1'), -1e+30, 2.8507113, X('-0x1.6b7a81a65dcd4p+1'), -1e+30, X('-0x1.37203bdfaa1f2p+1'), -1.934787, -1e+30, X('-0x1.9721b053f0422p+1'), 1e+30, 4.331278, -1.025495, 4.7222724, 2.9399092, -1e+30, -1e+30, 3.2216399, -1e+30, 1e+30, -1e+30, -3.180137, 3.231988, 0.860368, -1e+30, -0.600718, -4.721651, -1e+30, X('-0x1.a27a4f5176eb2p+0'), 1.5819494, -1e+30, X('-0x1.2451c9f72f76ep-2'), 1.425572, 1.5437155, -1e+30, -1e+30, X('-0x1.35f6e5a50ae6ep+0'), -1e+30, 1e+30, -1.002163, X('-0x1.3af2c229db9bap+2'), 2.789201, X('-0x1.7d17344f120bfp-2'), 1e+30, 1e+30, X('-0x1.7b8a181c5677ep+1'), -1e+30, X('-0x1.5dc4ab961b5fdp+0'), -4.012538, X('-0x1.7c43ddd055428p-2'), X('-0x1.3ba9201f5a386p+2'), X('-0x1.697a8e3b9785cp+0'), X('-0x1.97f8901f1c7aep-2'), 3.001428, X('-0x1.ff8c45f400178p+1'), 2.046269, -4.469861, -1e+30, 1.3921951, -1e+30, -1e+30, 2.3827646, -1e+30, X('-0x1.16d90ac8b0de6p+0'), X('-0x1.6decea239fc25p-1'), X('-0x1.7130b82eb016bp+1'), -1e+30, 2.913728, -1e+30, 0.41035, X('0x1.464b05e2c3035p-1'), X('-0x1.5b65d1ebf07e8p+2'), 1e+30, -1e+30, 2.0205972, X('-0x1.a56adc16ecab9p+1'), 4.2547927, -1e+30, X('-0x1.57970ea4de714p+0'), 1e+30, X('0x1.318275e68c10ap-1'), 1e+30, -1e+30, X('-0x1.0b1b442924bc7p-1'), 1e+30, 4.150895, 0.9574889, -1e+30, 3.3360977, X('-0x1.88cb93e7a8f12p+1'), 2.448408, -1e+30, X('-0x1.58f8c21e1d218p+1'), 1.0095377, -1e+30, -1e+30, 0.2987451, 0.8883868, -1.57599, 1e+30, X('-0x1.ab1c4d3da0748p+0'), -1e+30, 2.9285958, X('-0x1.cf05cd9f5aa3cp+1'), -1e+30, X('0x1.935f89fe46169p-3'), 1.4741161, 0.8252147, 2.8833892, -1e+30, 0.5794528, X('-0x1.18f115dfeec62p-6'), 1.8940629, 1e+30, X('-0x1.e7fe2d97e8bf7p+0'), -1e+30, 3.5907147, 1e+30, X('-0x1.81eeb9869eeb1p+0'), 2.300548, X('-0x1.da497600375d6p+2'), 1e+30, 2.368661, X('-0x1.9777948c139f2p+0'), 1.4740156, 1e+30, X('-0x1.12a21fe578954p+2'), X('-0x1.f760b1f17f33cp+0'), X('-0x1.ca347984505c4p-1'), 1.1128564, 4.8976245, 1e+30, X('0x1.4bcc141535c73p-1'), 1.1793429, X('-0x1.07c7ea0efcf30p+0'), 1.1499678, 1e+30, X('-0x1.3925efe931876p+2'), X('-0x1.ddae84375cb89p-2'), X('-0x1.fbc9f226f9691p-2'), 1e+30, -1e+30, -2.802502, X('-0x1.7d897fdb82723p+2'), -1e+30, 3.4233425, 3.8411763, -1e+30, 2.7407486, -1e+30, 1.373635, 2.7561324, X('0x1.68de302185e1bp-4'), 1.0993116, 2.2812378, -1e+30, 1e+30, 1e+30, 1.4580451, 2.0589602, 1.4841698, -5.537105, X('-0x1.faf8dc1f50276p+1'), X('-0x1.ca4b7040dabbap+1'), -1e+30, 2.0519261, 1e+30, -1e+30, -1e+30, 2.6564732, 1e+30, 1.074857, 5.7689886, 2.9964004, -2.75316, 4.751415, X('-0x1.6a5f98160bdb0p+2'), -1e+30, -1e+30, X('0x1.a3d3ade7845e2p-2'), 1e+30, -1e+30, X('-0x1.562d1435412a7p+2'), X('-0x1.20b0ebc5b6581p+1'), -1e+30, 1.1182216, 1e+30, 1e+30, -1e+30, -1e+30, 4.998826, 2.4920352, X('-0x1.e7b454050fdf4p-1'), 3.008043, 2.0566647, 2.5169673]],
    "top_k": [129.0],
}
PARAMETERS = ['top_k']
INTEGERS = ['top_k']
PER_ROW = True  # an array [B] for each parameter
RETURNS = "logits"
ROW = 0
MUST = [1, 3, 4, 5, 6, 8, 11, 12, 15, 16, 17, 18, 19, 22, 24, 27, 28, 30, 33, 34, 36, 37, 38, 41, 43, 44, 46, 47, 48, 49, 52, 54, 56, 57, 58, 60, 63, 66, 68, 69, 72, 74, 75, 77, 79, 81, 83, 84, 85, 86, 88, 89, 90, 91, 93, 95, 97, 98, 101, 102, 103, 104, 105, 107]
NEVER = [0, 2, 7, 9, 10, 13, 14, 20, 21, 23, 25, 26, 29, 31, 32, 35, 39, 40, 42, 45, 50, 51, 53, 55, 59, 61, 62, 64, 65, 67, 70, 71, 73, 76, 78, 80, 82, 87, 92, 94, 96, 99, 100, 106, 108, 109, 114, 120, 125, 131, 142, 146, 147, 148, 149, 152, 154, 160, 166, 167, 168, 169, 172, 173]
LEAST = 129
MOST = 129


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

    def top_k(logits, top_k):
        """llama_sampler_init_top_k"""
        return filtered(logits, lambda i: [llama_cpp.llama_sampler_init_top_k(int(top_k[i]))])

    return top_k



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
