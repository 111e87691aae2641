"""SGLang: the PyTorch backend of its sampler, its penalties, and the batch that is made of requests whose `SamplingParams` were verified.

In an environment with torch, transformers, triton and sglang, whose own dependencies are left out but for those that its import needs.
Native kernels and media libraries that it imports and a sampler on a CPU does not use are stood in for by empty modules; the hash of the
seeded draw is SGLang's Triton kernel in Triton's interpreter, because the one for CPUs belongs to another package. What SGLang compiles
with torch.compile is called as it is written.
"""

import importlib.abc
import importlib.machinery
import os
import sys
import types
from importlib.metadata import version as installed

import numpy as np
import torch

# transformers looks for torchvision once, and has to look before there is one in name
import transformers.utils

import samplerfuzz as sf

LACKS = {}
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

# the kernel and the functions that it calls are made for the interpreter, nothing else is
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


def version():
    return f"sglang {installed('sglang')}, torch {torch.__version__}"


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


def ids_of(tokens, size):
    """Token ids of each row; the scheduler's come from prompts that were checked and from the sampler."""
    for row in tokens:
        if len(row) and not 0 <= row.min() <= row.max() < size:
            raise ValueError(f"token id outside [0, {size})")
    return [row.tolist() for row in tokens]


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


def told(information, output):
    """Tell the penalties of the tokens [B][T] of all requests, as they come."""
    for tokens in zip(*output, strict=True):
        information.penalizer_orchestrator.cumulate_output_tokens(torch.tensor(tokens))


def joined(asked, size, output):
    """What the sampler is told of a batch of requests that came one after another, each with the tokens that it had by then."""
    information = scheduled(asked[:1], size)
    told(information, output[:1])
    for row in range(1, len(asked)):
        other = scheduled(asked[row : row + 1], size)
        told(other, output[row : row + 1])
        information.merge_batch(other)
        information.batch.reqs = information.batch.reqs + other.batch.reqs
    return information


def left_by_others(asked, size, output):
    """The same batch, after requests that came between them have ended."""
    other = {"temperature": 0.7, "top_k": 1, "top_p": 0.3, "min_p": 0.9, "repetition_penalty": 1.9, "presence_penalty": 2.0}
    passing = [SamplingParams(**other, frequency_penalty=1.0, logit_bias={"0": 50.0}) for _ in asked]
    both = [one for pair in zip(passing, asked, strict=True) for one in pair]
    information = joined(both, size, [tokens for row in output for tokens in ([0, size - 1], row)])
    stay = list(range(1, len(both), 2))
    information.batch.reqs = [information.batch.reqs[row] for row in stay]
    information.filter_batch(stay, torch.tensor(stay))
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


@sf.target(order=["top_k", "top_p"], returns="probs", per_row=True, dialect="sglang")
def top_k_top_p(logits, top_k, top_p):
    """top_k_top_p_min_p_sampling_from_probs_torch without min-p: what is left"""
    return filtered(logits, requests(logits.shape[1], top_k=top_k, top_p=top_p))


@sf.target(order=["top_p"], returns="probs", per_row=True, dialect="sglang")
def top_p(logits, top_p):
    """top_k_top_p_min_p_sampling_from_probs_torch with top-p alone: what is left"""
    return filtered(logits, requests(logits.shape[1], top_p=top_p))


@sf.target(order=["top_p"], returns="probs", per_row=True, dialect="sglang")
def top_p_normalize(logits, top_p):
    """top_p_normalize_probs_torch"""
    asked = requests(logits.shape[1], top_p=top_p)
    return top_p_normalize_probs_torch(torch.tensor(logits).softmax(-1), torch.tensor([one.top_p for one in asked])).numpy()


@sf.target(order=["top_k", "top_p", "min_p"], returns="probs", per_row=True, dialect="sglang")
def top_k_top_p_min_p(logits, top_k, top_p, min_p):
    """top_k_top_p_min_p_sampling_from_probs_torch: what is left"""
    return filtered(logits, requests(logits.shape[1], top_k=top_k, top_p=top_p, min_p=min_p))


@sf.target(order=["frequency_penalty", "presence_penalty", "repetition_penalty"], returns="logits", per_row=True, dialect="sglang")
def penalties(logits, frequency_penalty, presence_penalty, repetition_penalty, prompt, output):
    """BatchedPenalizerOrchestrator, and SamplingBatchInfo.apply_logits_bias"""
    given = {"repetition_penalty": repetition_penalty, "frequency_penalty": frequency_penalty, "presence_penalty": presence_penalty}
    size = logits.shape[1]
    information = joined(requests(size, **given), size, ids_of(output, size))
    left = torch.tensor(logits)
    information.copy_for_forward().apply_logits_bias(left)
    return left.numpy()


@sf.target(order=["logit_bias"], returns="logits", per_row=True, dialect="sglang")
def logit_bias(logits, logit_bias):
    """SamplingBatchInfo.apply_logits_bias"""
    asked = requests(logits.shape[1], logit_bias=[{str(token): addend for token, addend in row.items()} for row in logit_bias])
    information = scheduled(asked, logits.shape[1])
    left = torch.tensor(logits)
    information.copy_for_forward().apply_logits_bias(left)
    return left.numpy()


@sf.target(returns="logits", per_row=True, dialect="sglang")
def sampler(logits, temperature, top_k, top_p, min_p):
    """SamplingParams, SamplingBatchInfo, Sampler: the support that it reports, with its log-probabilities"""
    size = logits.shape[1]
    information = scheduled(requests(size, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p), size)
    return sampled(information, logits, np.zeros(len(logits), np.int64))[1]


@sf.target(returns="logits", per_row=True, dialect="sglang")
def sampler_everything(
    logits, frequency_penalty, presence_penalty, repetition_penalty, logit_bias, temperature, top_k, top_p, min_p, prompt, output
):
    """The same with every parameter, of requests that came one after another"""
    given = {"repetition_penalty": repetition_penalty, "frequency_penalty": frequency_penalty, "presence_penalty": presence_penalty}
    given |= {"logit_bias": [{str(token): addend for token, addend in row.items()} for row in logit_bias]}
    size = logits.shape[1]
    asked = requests(size, **given, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    information = joined(asked, size, ids_of(output, size))
    return sampled(information, logits, np.zeros(len(logits), np.int64))[1]


@sf.target(returns="logits", per_row=True, dialect="sglang")
def sampler_worn(
    logits, frequency_penalty, presence_penalty, repetition_penalty, logit_bias, temperature, top_k, top_p, min_p, prompt, output
):
    """The same in a batch that other requests have left"""
    given = {"repetition_penalty": repetition_penalty, "frequency_penalty": frequency_penalty, "presence_penalty": presence_penalty}
    given |= {"logit_bias": [{str(token): addend for token, addend in row.items()} for row in logit_bias]}
    size = logits.shape[1]
    asked = requests(size, **given, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    information = left_by_others(asked, size, ids_of(output, size))
    return sampled(information, logits, np.zeros(len(logits), np.int64))[1]


@sf.target(returns="tokens", dialect="sglang")
def draw(logits, temperature, top_k, top_p, min_p, seed):
    """A token of each request from Sampler, drawn with torch's own generator"""
    rows, size = logits.shape
    asked = requests(size, temperature=[temperature] * rows, top_k=[top_k] * rows, top_p=[top_p] * rows, min_p=[min_p] * rows)
    information = scheduled(asked, size)
    torch.manual_seed(seed)
    return sampled(information, logits, np.zeros(rows, np.int64))[0]


@sf.target(order=["temperature"], returns="tokens", per_row=True, dialect="sglang")
def draw_seeded(logits, temperature, seed):
    """A token of each request from Sampler, its seed and nothing else making it: deterministic inference without filters"""
    information = scheduled(requests(logits.shape[1], temperature=temperature, sampling_seed=seed), logits.shape[1], True)
    return sampled(information, logits, np.zeros(len(logits), np.int64))[0]


@sf.target(order=["temperature", "top_k", "top_p"], returns="tokens", per_row=True, dialect="sglang")
def draw_filtered_seeded(logits, temperature, top_k, top_p, seed):
    """The same with filters"""
    asked = requests(logits.shape[1], temperature=temperature, top_k=top_k, top_p=top_p, sampling_seed=seed)
    information = scheduled(asked, logits.shape[1], True)
    return sampled(information, logits, np.zeros(len(logits), np.int64))[0]


@sf.target(order=["temperature", "top_p"], returns="tokens", per_row=True, dialect="sglang")
def draw_top_p_seeded(logits, temperature, top_p, seed):
    """The same with top-p alone, which requests may leave off"""
    asked = requests(logits.shape[1], temperature=temperature, top_p=top_p, sampling_seed=seed)
    return sampled(scheduled(asked, logits.shape[1], True), logits, np.zeros(len(logits), np.int64))[0]


@sf.target(order=["temperature", "min_p"], returns="tokens", per_row=True, dialect="sglang")
def draw_min_p_seeded(logits, temperature, min_p, seed):
    """The same with min-p alone"""
    asked = requests(logits.shape[1], temperature=temperature, min_p=min_p, sampling_seed=seed)
    return sampled(scheduled(asked, logits.shape[1], True), logits, np.zeros(len(logits), np.int64))[0]
