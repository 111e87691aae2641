"""CRITICAL: token 0 is masked (-inf) and was given probability

claim    masked_token_is_never_emitted
target   mlx-lm:categorical_bfloat16
stages   temperature; returns tokens

usage    python ee8afcd2e4.py
exit     1 the defect shows, 0 it does not, 2 the target cannot be loaded

Runs without samplerfuzz. Seen with mlx-lm 0.32.2, mlx 0.32.4.
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
    "logits": [[-inf, 0.0]],
    "temperature": [-0.001],
    "seed": [0],
}
PARAMETERS = ['temperature']
INTEGERS = []
PER_ROW = False  # one number for each parameter, from row 0
RETURNS = "tokens"
ROW = 0
NEVER = [0]


def load():
    """Return the function that is tested: how samplerfuzz calls mlx-lm."""
    import importlib.metadata
    import importlib.util

    from pathlib import Path

    import mlx.core as mx
    import numpy as np

    PACKAGE = Path(importlib.util.find_spec("mlx_lm").submodule_search_locations[0])
    SPECIFICATION = importlib.util.spec_from_file_location("sample_utils", PACKAGE / "sample_utils.py")
    utils = importlib.util.module_from_spec(SPECIFICATION)

    SPECIFICATION.loader.exec_module(utils)

    def log_probabilities(logits, dtype=mx.float32):
        z = mx.array(logits).astype(dtype)
        return z - mx.logsumexp(z, axis=-1, keepdims=True)

    def answered(array):
        return np.array(array.astype(mx.float32))

    def top_k(logits, top_k):
        """sample_utils.apply_top_k"""
        return answered(utils.apply_top_k(log_probabilities(logits), top_k))

    def top_p(logits, top_p):
        """sample_utils.apply_top_p"""
        return answered(utils.apply_top_p(log_probabilities(logits), top_p))

    def min_p(logits, min_p, min_tokens_to_keep):
        """sample_utils.apply_min_p"""
        return answered(utils.apply_min_p(log_probabilities(logits), min_p, min_tokens_to_keep))

    def categorical_bfloat16(logits, temperature, seed):
        """sample_utils.make_sampler with a temperature alone, in bfloat16 as models answer"""
        mx.random.seed(seed)
        sampler = utils.make_sampler(temp=temperature, top_p=0.0, min_p=0.0, top_k=0, xtc_probability=0.0)
        return np.array(sampler(log_probabilities(logits, mx.bfloat16)))

    def sampler(logits, top_p, min_p, min_tokens_to_keep, top_k, temperature, seed):
        """sample_utils.make_sampler without XTC"""
        mx.random.seed(seed)
        made = utils.make_sampler(
            temp=temperature, top_p=top_p, min_p=min_p, min_tokens_to_keep=min_tokens_to_keep, top_k=top_k, xtc_probability=0.0
        )
        return np.array(made(log_probabilities(logits)))

    return categorical_bfloat16



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
