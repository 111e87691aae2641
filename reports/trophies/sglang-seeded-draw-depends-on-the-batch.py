"""HIGH: row 0 of 2 gives another answer in the batch than alone

claim    row_alone_equals_row_in_batch
target   sglang:draw_top_p_seeded
stages   temperature > top_p; returns tokens

usage    python sglang-seeded-draw-depends-on-the-batch.py
exit     1 the defect shows, 0 it does not, 2 the target cannot be loaded

Runs without samplerfuzz. Seen with sglang 0.5.23, torch 2.13.0+cpu.
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
    "logits": [[0.0, 0.5, 1.0, 1.5], [0.0, 0.5, 1.0, 1.5]],
    "temperature": [1.0, 1.0],
    "top_p": [1.0, 0.5],
    "seed": [1, 2],
}
PARAMETERS = ['temperature', 'top_p']
INTEGERS = []
PER_ROW = True  # an array [B] for each parameter
RETURNS = "tokens"
ROW = 0


def load():
    """Return the function that is tested: how samplerfuzz calls sglang."""
    import importlib.abc
    import importlib.machinery
    import os
    import sys
    import types
    import numpy as np
    import torch
    import transformers.utils

    EMPTY = {"torchvision", "sgl_kernel", "flashinfer", "decord2", "decord", "timm", "torchao", "torchaudio", "torchcodec", "soundfile"}

    EMPTY |= {"deep_gemm", "tilelang", "quack"}

    class Named(type):
        def __getattr__(cls, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return name

    class Anything(types.ModuleType):
        __path__ = ()

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return Named(name, (), {})

    class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
        def find_spec(self, name, path=None, target=None):
            return importlib.machinery.ModuleSpec(name, self, is_package=True) if name.partition(".")[0] in EMPTY else None

        def create_module(self, spec):
            return Anything(spec.name)

        def exec_module(self, module):
            pass

    transformers.utils.is_torchvision_available()
    sys.meta_path.insert(0, Finder())
    torch.compiler.set_stance("force_eager")

    os.environ["TRITON_INTERPRET"] = "1"

    import sglang.kernels.ops.sampling.murmur_hash as murmur_hash

    os.environ.pop("TRITON_INTERPRET")

    import sglang.srt.layers.sampler as sampler_module
    import sglang.srt.sampling.sampling_batch_info as batch_module

    from sglang.srt.layers.logits_processor import LogitsProcessorOutput
    from sglang.srt.layers.sampler import Sampler, top_k_top_p_min_p_sampling_from_probs_torch, top_p_normalize_probs_torch
    from sglang.srt.sampling.sampling_batch_info import SamplingBatchInfo
    from sglang.srt.sampling.sampling_params import SamplingParams

    def hashed(seed, positions, columns):
        """What murmur_hash32 returns for tensors on a GPU."""
        out = torch.empty((len(seed), len(columns)), dtype=torch.uint32)
        blocks = -(-len(columns) // 1024)
        murmur_hash.murmur_hash32_kernel[(len(seed), blocks)](seed, positions, columns, out, len(seed), len(columns), BLOCK_SIZE=1024)
        return out

    def running(deterministic):
        """Make what the sampler reads of a running server: no parallel ranks, the PyTorch backend, a mask for every token."""
        features = {"sampling_mask_max_tokens": 1 << 30, "enable_custom_logit_processor": False, "enable_watermark": False}
        settings = types.SimpleNamespace(
            deterministic=types.SimpleNamespace(rl_on_policy_target=None, enable_deterministic_inference=deterministic),
            kernel=types.SimpleNamespace(sampling_backend="pytorch"),
            features=types.SimpleNamespace(**features),
        )
        ranks = types.SimpleNamespace(tp_group=types.SimpleNamespace(device_group=None))
        sampler_module.get_exec = batch_module.get_exec = lambda: settings
        sampler_module.get_parallel = lambda: ranks
        sampler_module.is_dp_attention_enabled = lambda: False
        sampler_module.murmur_hash32 = hashed

    class Batch(types.SimpleNamespace):
        """Requests that are scheduled together, which can be referred to weakly."""

        __slots__ = ("__weakref__",)

    def requests(size, **given):
        """Each row's parameters as SGLang takes them from a user, verified."""
        neutral = {"temperature": 1.0, "top_k": -1, "top_p": 1.0, "min_p": 0.0, "sampling_seed": None, "logit_bias": None}
        neutral |= {"repetition_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0}
        verified = []
        for row in zip(*given.values(), strict=True):
            asked = SamplingParams(
                **{**neutral, **{name: getattr(value, "tolist", lambda v=value: v)() for name, value in zip(given, row, strict=True)}}
            )
            asked.verify(size)
            verified.append(asked)
        return verified

    def filtered(logits, asked):
        """The probabilities that are left of the softmax of the logits."""
        kept = top_k_top_p_min_p_sampling_from_probs_torch(
            torch.tensor(logits).softmax(-1),
            torch.tensor([one.top_k for one in asked], dtype=torch.int32),
            torch.tensor([one.top_p for one in asked]),
            torch.tensor([one.min_p for one in asked]),
            any(one.min_p > 0 for one in asked),
            None,
            torch.zeros(len(asked), dtype=torch.int64),
            return_filtered_probs=True,
        )
        weights = torch.zeros_like(kept[1]).scatter_(1, kept[2].long(), kept[1])
        return (weights / weights.sum(-1, keepdim=True)).numpy()

    def scheduled(asked, size, deterministic=False):
        """What the sampler is told of a batch of new requests."""
        running(deterministic)
        shown = {"return_sampling_mask": True, "sampling_logprobs_mode": "support"}
        batch = Batch(device="cpu", reqs=[types.SimpleNamespace(sampling_params=one, **shown) for one in asked])
        information = SamplingBatchInfo.from_schedule_batch(batch, size)
        # the penalties refer to the batch, and do not keep it
        information.batch = batch
        return information

    def sampled(information, logits, positions):
        """The tokens that the sampler takes, and the logits [B, V] of those that it could have taken."""
        answer = LogitsProcessorOutput(next_token_logits=torch.tensor(logits))
        once = information.copy_for_forward()
        once.apply_logits_bias(answer.next_token_logits)
        tokens = Sampler()(answer, once, False, [], [], torch.tensor(positions))
        mask = answer.sampling_mask_output
        left = np.full(logits.shape, -np.inf, np.float32)
        for row, count in enumerate(mask.lengths.tolist()):
            ids = mask.token_ids[row, :count].long().numpy()
            left[row, ids] = mask.support_logprobs[row, :count].numpy()
        return tokens.long().numpy(), left

    def top_p(logits, top_p):
        """top_k_top_p_min_p_sampling_from_probs_torch with top-p alone: what is left"""
        return filtered(logits, requests(logits.shape[1], top_p=top_p))

    def draw_top_p_seeded(logits, temperature, top_p, seed):
        """The same with top-p alone, which requests may leave off"""
        asked = requests(logits.shape[1], temperature=temperature, top_p=top_p, sampling_seed=seed)
        return sampled(scheduled(asked, logits.shape[1], True), logits, np.zeros(len(logits), np.int64))[0]

    return draw_top_p_seeded



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
    """Does a row draw another token alone than in the batch, with the same u or seed of its own?"""
    rng = np.random.default_rng(0)
    differences = []
    for attempt in range(9):
        case = {name: list(values) for name, values in CASE.items()}
        if attempt and "u" in case:
            case["u"][ROW] = float(rng.random())
        if attempt and "seed" in case:
            case["seed"][ROW] = int(rng.integers(0, 2**31))
        (kind, batch), (kind_alone, alone) = call(case), call(take(case, [ROW]))
        if kind != "value" or kind_alone != "value":
            print(f"got       {kind}: {batch}; alone {kind_alone}: {alone}")
            return False
        if attempt == 0:
            print(f"expected  token {alone[0]}, as alone")
            print(f"got       token {batch[ROW]} in the batch")
        differences.append(int(batch[ROW]) != int(alone[0]))
    print(f"          {sum(differences)} of {len(differences)} draws differ")
    return sum(differences) >= 3



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
