"""CRITICAL: ends the process: died with SIGABRT; it wrote last: double free or corruption (out)

claim    process_survives
target   mlx-lm:logit_bias
stages   logit_bias; returns logits

usage    python 1365d663ee.py
exit     1 the defect shows, 0 it does not, 2 the target cannot be loaded

Runs without samplerfuzz. Seen with mlx-lm 0.32.2, mlx 0.32.4.
"""

import contextlib
import faulthandler
import importlib
import inspect
import os
import signal
import subprocess
import sys
import tempfile

import numpy as np

np.set_printoptions(precision=6, suppress=True, linewidth=120, threshold=64)
X = float.fromhex
inf, nan = float("inf"), float("nan")

# The input, one entry a row, every bit as it was found.
CASE = {
    "logits": [[1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -0.0]],
    "logit_bias": [{8: 1.0}],
}
PARAMETERS = ['logit_bias']
INTEGERS = []
COLLECTIONS = ['logit_bias']  # by token id
PER_ROW = False  # one number for each parameter, from row 0
RETURNS = "logits"
ROW = 0
LIMIT = 10.0


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

    def answered(array):
        return np.array(array.astype(mx.float32))

    def processed(processors, logits, history):
        if any(((ids < 0) | (ids >= logits.shape[1])).any() for ids in map(np.asarray, history)):
            # what was generated is in the vocabulary; mlx checks no index, and what it then overwrites spoils every later call
            raise ValueError("a token of the history lies outside the vocabulary")
        rows = []
        for row, ids in zip(logits, history, strict=True):
            z = mx.array(row[None])
            for processor in processors:
                z = processor(mx.array(np.asarray(ids, np.int32)), z)
            rows.append(answered(z)[0])
        return np.stack(rows)

    def repetition_penalty(logits, history, repetition_penalty, penalty_last_n):
        """sample_utils.make_logits_processors with a repetition penalty"""
        made = utils.make_logits_processors(repetition_penalty=repetition_penalty, repetition_context_size=penalty_last_n)
        return processed(made, logits, history)

    def presence_penalty(logits, history, presence_penalty, penalty_last_n):
        """sample_utils.make_logits_processors with a presence penalty"""
        made = utils.make_logits_processors(presence_penalty=presence_penalty, presence_context_size=penalty_last_n)
        return processed(made, logits, history)

    def frequency_penalty(logits, history, frequency_penalty, penalty_last_n):
        """sample_utils.make_logits_processors with a frequency penalty"""
        made = utils.make_logits_processors(frequency_penalty=frequency_penalty, frequency_context_size=penalty_last_n)
        return processed(made, logits, history)

    def processors(logits, history, logit_bias, repetition_penalty, presence_penalty, frequency_penalty, penalty_last_n):
        """sample_utils.make_logits_processors with everything"""
        if any(not 0 <= token < logits.shape[1] for token in logit_bias):
            raise ValueError("a biased token lies outside the vocabulary")
        made = utils.make_logits_processors(
            logit_bias=logit_bias,
            repetition_penalty=repetition_penalty,
            repetition_context_size=penalty_last_n,
            presence_penalty=presence_penalty,
            presence_context_size=penalty_last_n,
            frequency_penalty=frequency_penalty,
            frequency_context_size=penalty_last_n,
        )
        return processed(made, logits, history)

    def logit_bias(logits, logit_bias):
        """sample_utils.make_logits_processors with a logit bias, ids outside the vocabulary among them"""
        return processed(utils.make_logits_processors(logit_bias=logit_bias), logits, [[] for _ in logits])

    return logit_bias



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


CALLED, ANSWERED = "REPRODUCER_CALLS", "the process lives on"


def defect():
    """Does the call end, and does its process outlive it? This program runs itself again to see that from outside."""
    if CALLED in os.environ:
        answer_and_leave()
    print(f"expected  an answer or an exception within {LIMIT:g} s, and a process that lives on", flush=True)
    with tempfile.TemporaryFile() as said:
        environment = {**os.environ, CALLED: "1"}
        process = subprocess.Popen([sys.executable, *sys.argv], env=environment, stdout=said, stderr=said, start_new_session=True)
        try:
            status = process.wait(LIMIT + 600)  # it ends itself LIMIT seconds after it has loaded the target
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(max(0, said.seek(0, os.SEEK_END) - 10_000))
        lines = said.read().decode("utf-8", "replace").splitlines()
    if status == 0 and ANSWERED in lines:
        print(f"got       {lines[lines.index(ANSWERED) - 1]}")
        return False
    if status is None or any(line.startswith("Timeout (") for line in lines):
        print("got       no answer; it is here:")
    elif status < 0:
        print(f"got       a process that died with {signal.Signals(-status).name}; it said:")
    else:
        print(f"got       a process that exited with status {status}; it said:")
    print("\n".join(f"          {line}" for line in lines[-40:]))
    return True


def answer_and_leave():
    """Call the target and leave with status 0; a process that does not get here does not print ANSWERED."""
    faulthandler.enable()
    for _ in range(1 if ACCEPTED & {"seed", "u"} or RETURNS != "tokens" else 20):
        faulthandler.dump_traceback_later(LIMIT, exit=True)  # from a thread of its own, even when native code keeps the interpreter
        kind, answer = call(CASE)
    text = " ".join(f"{kind}: {answer}".split())
    print(f"\n{text[:300]}\n{ANSWERED}", flush=True)
    os._exit(0)



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
