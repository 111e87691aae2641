"""HIGH: token 0 must stay and has no probability

claim    kept_token_has_probability
target   transformers:continuous_batching
stages   temperature > top_k > top_p; returns logits

usage    python transformers-continuous-batching-top-k-zero.py
exit     1 the defect shows, 0 it does not, 2 the target cannot be loaded

Runs without samplerfuzz. Seen with transformers 5.23.0, torch 2.13.0+cpu.
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
    "logits": [[0.0, 1.0]],
    "temperature": [1.0],
    "top_k": [0.0],
    "top_p": [1.0],
}
PARAMETERS = ['temperature', 'top_k', 'top_p']
INTEGERS = ['top_k']
PER_ROW = True  # an array [B] for each parameter
RETURNS = "logits"
ROW = 0
MUST = [0, 1]
NEVER = []
LEAST = 2
MOST = 2


def load():
    """Return the function that is tested: how samplerfuzz calls transformers."""
    import torch
    import transformers

    from transformers.generation.continuous_batching.cb_logits_processors import ContinuousBatchingLogitsProcessorList
    from transformers.generation.continuous_batching.requests import FutureRequestState, RequestState
    from transformers.modeling_outputs import CausalLMOutput

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)

    class Config(transformers.PretrainedConfig):
        model_type = "given_logits"

    class Model(transformers.PreTrainedModel, transformers.GenerationMixin):
        config_class = Config
        main_input_name = "input_ids"

        def __init__(self, config):
            super().__init__(config)
            self.unused = torch.nn.Parameter(torch.zeros(1))
            self.given = None

        def forward(self, input_ids, attention_mask=None, **kwargs):
            return CausalLMOutput(logits=self.given[:, None].expand(-1, input_ids.shape[1], -1))

    def processed(processor, logits, ids=None, dtype=torch.float32):
        ids = torch.zeros((len(logits), 0), dtype=torch.int64) if ids is None else ids
        return processor(ids, torch.tensor(logits).to(dtype)).float().numpy()

    def temperature(logits, temperature):
        """TemperatureLogitsWarper"""
        return processed(transformers.TemperatureLogitsWarper(temperature), logits)

    def top_k(logits, top_k, min_tokens_to_keep):
        """TopKLogitsWarper"""
        return processed(transformers.TopKLogitsWarper(top_k, min_tokens_to_keep=min_tokens_to_keep), logits)

    def top_p(logits, top_p, min_tokens_to_keep):
        """TopPLogitsWarper"""
        return processed(transformers.TopPLogitsWarper(top_p, min_tokens_to_keep=min_tokens_to_keep), logits)

    def configured(**parameters):
        return transformers.GenerationConfig(do_sample=True, num_beams=1, renormalize_logits=False, **parameters)

    def continuous_batching(logits, temperature, top_k, top_p):
        """the per-request processors of continuous batching: ContinuousBatchingLogitsProcessorList"""
        config = configured(temperature=0.5, top_k=50, top_p=0.5)
        made = Model(Config())._get_logits_processor(config, input_ids_seq_length=0, device="cpu")
        processors = ContinuousBatchingLogitsProcessorList(made, per_request_processors=True, drop_unsupported_processors=True)
        requests = []
        for row in range(len(logits)):
            given = {"temperature": float(temperature[row]), "top_k": int(top_k[row]), "top_p": float(top_p[row])}
            processors.check_kwargs(given)
            state = RequestState(request_id=str(row), initial_tokens=[0], logit_processor_kwargs=given)
            requests.append(FutureRequestState(state, True, {}, 1))
        arguments = torch.empty((processors.tensors_required, len(logits)), dtype=torch.int32)
        processors.prepare_tensor_args(requests, arguments)
        return processors(torch.zeros(len(logits), dtype=torch.int64), torch.tensor(logits), arguments).numpy()

    return continuous_batching



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
