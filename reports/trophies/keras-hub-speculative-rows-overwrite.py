"""MEDIUM: token 1 was drawn with frequency 0 of 256 draws; the definition gives 0.5761 to 0.5761

claim    draw_frequencies_match
target   keras-hub:speculative_sure_draft
stages   temperature; returns tokens
found    n = 256, log_e = 215.632, threshold = 14.3132, alpha = 1e-06

usage    python keras-hub-speculative-rows-overwrite.py
exit     1 the defect shows, 0 it does not, 2 the target cannot be loaded

Runs without samplerfuzz. Seen with keras-hub 0.32.0, keras 3.15.1, jax 0.10.2.
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
    "logits": [[0.0, 1.0, 0.0]],
    "temperature": [1.0],
    "seed": [0],
}
PARAMETERS = ['temperature']
INTEGERS = []
PER_ROW = False  # one number for each parameter, from row 0
RETURNS = "tokens"
ROW = 0
LOW = [X('0x1.b20c3a14163c7p-3'), X('0x1.26f83d04f2a15p-1'), X('0x1.b20c3a14163c7p-3')]
HIGH = [X('0x1.b2109a95f9c4ep-3'), X('0x1.26f958a605c17p-1'), X('0x1.b2109a95f9c4ep-3')]
DRAWS = 20000


def load():
    """Return the function that is tested: how samplerfuzz calls keras-hub."""
    import importlib
    import importlib.metadata
    import os
    import sys
    import types
    import numpy as np

    PACKAGE = "keras_hub.src"
    STOOD_IN_FOR = {
        "keras_hub": {},
        PACKAGE: {},
        f"{PACKAGE}.samplers": {},
        f"{PACKAGE}.api_export": {"keras_hub_export": lambda path: lambda item: item},
        f"{PACKAGE}.utils.tensor_utils": {"any_equal": None},
        f"{PACKAGE}.models.gemma4.gemma4_causal_lm": {"Gemma4CausalLM": type("Gemma4CausalLM", (), {})},
    }
    os.environ["KERAS_BACKEND"] = "jax"

    for module_name, names in STOOD_IN_FOR.items():
        sys.modules[module_name] = types.ModuleType(module_name)
        sys.modules[module_name].__dict__.update(names)
        sys.modules[module_name].__path__ = [str(importlib.metadata.distribution("keras-hub").locate_file(module_name.replace(".", "/")))]

    keras = importlib.import_module("keras")
    random_sampler = importlib.import_module(f"{PACKAGE}.samplers.random_sampler")
    speculative_sampler = importlib.import_module(f"{PACKAGE}.samplers.speculative_sampler")

    def speculated(sampler, target, draft):
        target, draft = keras.ops.convert_to_tensor(target), keras.ops.convert_to_tensor(draft)
        text = sampler(
            next=lambda prompt, cache, index: (target, None, cache),
            prompt=keras.ops.zeros((len(target), 1), dtype="int32"),
            cache=None,
            index=0,
            mask=None,
            stop_token_ids=None,
            draft_next=lambda prompt, cache, index: (draft, None, cache),
            draft_cache=None,
            verify_next=None,
        )
        return np.asarray(text)[:, 0]

    def speculative_sure_draft(logits, temperature, seed):
        """SpeculativeSampler over a RandomSampler, for a draft model that is sure of the largest token"""
        base = random_sampler.RandomSampler(seed=seed, temperature=temperature)
        sampler = speculative_sampler.SpeculativeSampler(num_speculative_tokens=1, base_sampler=base, seed=seed, temperature=temperature)
        sure = np.arange(logits.shape[1]) == logits.argmax(-1)[:, None]
        return speculated(sampler, logits, np.where(sure, 0, -np.inf).astype(np.float32))

    return speculative_sure_draft



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
    """Do the frequencies of DRAWS draws lie outside the definition by more than six standard errors?"""
    low, high = np.array(LOW), np.array(HIGH)
    counts = np.zeros(len(low))
    rng = np.random.default_rng(0)
    rows = [0] * 256
    for _ in range(DRAWS // 256):
        seeds = rng.integers(0, 2**31, 256)
        kind, answer = call(dict(take(CASE, rows), seed=(seeds if PER_ROW else np.repeat(seeds[:1], 256)).tolist()))
        if kind != "value" or ((answer < 0) | (answer >= len(low))).any():
            print(f"got       {kind}: {answer}")
            return kind == "value"
        counts += np.bincount(answer, minlength=len(low))
    n = counts.sum()
    share = counts / n
    bound = np.clip(share, low, high)
    slack = 6 * np.sqrt(bound * (1 - bound) / n) + 12 / n  # Bernstein's bound: six standard errors, rare tokens included
    wrong = (share > high + slack) | (share < low - slack)
    print(f"{int(n)} draws")
    print("token   expected               share")
    for token in np.flatnonzero(wrong | (share > 0) | (low > 0))[:64]:
        print(f"{token:5d}   {low[token]:.6f}..{high[token]:.6f}     {share[token]:.6f} {'  <- outside' if wrong[token] else ''}")
    return bool(wrong.any())



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
