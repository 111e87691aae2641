"""HIGH: token 1 must stay and has no probability

claim    kept_token_has_probability
target   vllm:triton_top_p
stages   top_p; returns logits

usage    python vllm-triton-top-p-search-gives-up.py
exit     1 the defect shows, 0 it does not, 2 the target cannot be loaded

Runs without samplerfuzz. Seen with vllm 0.33.0, torch 2.13.0+cpu.
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
    "logits": [[6.0, -0.0, -1e-05, -2e-05, -3e-05, -4e-05, -5e-05, -6e-05, -7e-05, -8e-05, -9e-05, -0.0001, -0.00011, -0.00012, -0.00013, -0.00014, -0.00015, -0.00016, -0.00017, -0.00018, -0.00019, -0.0002, -0.00021, -0.00022, -0.00023, -0.00024, -0.00025, -0.00026, -0.00027, -0.00028, -0.00029, -0.0003, -0.00031, -0.00032, -0.00033, -0.00034, -0.00035, -0.00036, -0.00037, -0.00038, -0.00039]],
    "top_p": [0.95],
}
PARAMETERS = ['top_p']
INTEGERS = []
PER_ROW = True  # an array [B] for each parameter
RETURNS = "logits"
ROW = 0
MUST = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]
NEVER = [19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40]
LEAST = 19
MOST = 19


def load():
    """Return the function that is tested: how samplerfuzz calls vllm."""
    import logging
    import os
    import types

    os.environ |= {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}

    import torch
    import vllm
    import vllm.utils.torch_utils

    vllm.utils.torch_utils.PIN_MEMORY = False

    import vllm.v1.sample.ops.topk_topp_sampler
    import vllm.v1.sample.ops.topk_topp_triton as kernels
    import vllm.v1.worker.gpu_input_batch

    from vllm import SamplingParams
    from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p_pytorch, random_sample

    vllm.v1.sample.ops.topk_topp_sampler.HAS_TRITON = False

    logging.getLogger("vllm").setLevel(logging.ERROR)

    vllm.v1.worker.gpu_input_batch.MultiGroupBlockTable = lambda **settings: types.SimpleNamespace(
        add_row=lambda blocks, row: None, clear_row=lambda row: None, move_row=lambda source, row: None
    )

    def requests(size, **given):
        """Each row's parameters as vLLM takes them from a user, checked against the vocabulary."""
        model = types.SimpleNamespace(get_vocab_size=lambda: size, max_logprobs=-1, is_diffusion=False)
        neutral = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": None, "logit_bias": None}
        neutral |= {"repetition_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0, "allowed_token_ids": None}
        checked = []
        for row in zip(*given.values(), strict=True):
            asked = SamplingParams(
                **{**neutral, **{name: getattr(value, "tolist", lambda v=value: v)() for name, value in zip(given, row, strict=True)}}
            )
            asked.verify(model, None, None, None)
            checked.append(asked)
        return checked

    def filters(asked, size):
        """Top-k and top-p as a batch of these requests holds them: None where no request uses it."""
        k = torch.tensor([one.top_k if 0 < one.top_k < size else size for one in asked], dtype=torch.int32)
        p = torch.tensor([one.top_p for one in asked], dtype=torch.float32)
        return k if (k < size).any() else None, p if any(one.top_p < 1 for one in asked) else None

    def top_p(logits, top_p):
        """apply_top_k_top_p_pytorch with top-p alone"""
        k, p = filters(requests(logits.shape[1], top_p=top_p), logits.shape[1])
        return apply_top_k_top_p_pytorch(torch.tensor(logits), k, p, allow_cpu_sync=True).numpy()

    class Row(int):
        """A row's number with the one method of a tensor that a kernel calls; Triton's interpreter counts in integers."""

        def to(self, dtype):
            return self

    def launched(logits, buffer, percentiles, quantiles, k, p, mask, programs):
        """Run the kernel for many rows, with the tiles that it has on a GPU."""
        rows, size = logits.shape
        kernels._topk_topp_kernel[(min(programs, rows),)](
            LOGITS=logits,
            LOGITS_STRIDE_0=logits.stride(0),
            BUFFER=buffer,
            PERCENTILE_TO_STD_TABLE=percentiles,
            NORMAL_CDF_TO_SIGMA_TABLE=quantiles,
            K=logits if k is None else k,
            P=logits if p is None else p,
            BATCH_SIZE=rows,
            VOCAB_SIZE=size,
            MASK_VALUE=mask,
            BLOCK_SIZE=8192,
            BLOCK_SIZE_TRUNC=4096,
            TOPK_ENABLED=k is not None,
            TOPP_ENABLED=p is not None,
            SPLIT_COVERS_PONLY=False,
        )

    def interpreted():
        """Make the interpreter count in rows, and the wrapper ask for no more than it has."""
        import triton.runtime.interpreter

        triton.runtime.interpreter.range = lambda *bounds: map(Row, range(*bounds))
        kernels.num_compute_units = lambda device: 132
        kernels._topk_topp = launched

    def triton_top_p(logits, top_p):
        """apply_top_k_top_p_triton with top-p alone, as for many rows"""
        interpreted()
        k, p = filters(requests(logits.shape[1], top_p=top_p), logits.shape[1])
        return kernels.apply_top_k_top_p_triton(torch.tensor(logits), k, p).numpy()

    return triton_top_p



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
