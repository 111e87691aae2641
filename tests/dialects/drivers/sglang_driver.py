"""SGLang, in an environment with torch 2.13.0, transformers, and sglang 0.5.23 without its dependencies.

Its parameters as `SamplingParams` checks them, its penalties, and its PyTorch sampler. Native kernels and media libraries that it imports
and a sampler on a CPU does not use are stood in for by empty modules.
"""

import importlib.abc
import importlib.machinery
import sys
import types
from importlib.metadata import version as installed

EMPTY = {
    "torchvision", "sgl_kernel", "flashinfer", "decord2", "decord", "timm", "torchao", "torchaudio", "torchcodec", "soundfile", "deep_gemm",
    "tilelang", "quack",
}  # fmt: skip


class _Named(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class _Anything(types.ModuleType):
    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Named(name, (), {})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name.partition(".")[0] in EMPTY else None

    def create_module(self, spec):
        return _Anything(spec.name)

    def exec_module(self, module):
        pass


# transformers looks for torchvision once, and has to look before there is one in name
import transformers.utils

transformers.utils.is_torchvision_available()
sys.meta_path.insert(0, _Finder())

import torch
from rows import normalised
from sglang.srt.layers.sampler import top_k_top_p_min_p_sampling_from_probs_torch
from sglang.srt.sampling import penaltylib
from sglang.srt.sampling.sampling_params import SamplingParams

ORIGIN, ONE_FILTER = "ran", False
TAKES = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "logit_bias")


def version():
    return installed("sglang")


class Batch(types.SimpleNamespace):
    """A namespace that can be referred to weakly."""

    __slots__ = ("__weakref__",)


def run(row, parameters, history, prompt):
    bias = parameters.pop("logit_bias", {})
    given = SamplingParams(**parameters)
    given.verify(len(row))
    logits = torch.tensor([row])
    batch = Batch(device="cpu", reqs=[types.SimpleNamespace(sampling_params=given)])
    penalizers = [penaltylib.BatchedFrequencyPenalizer, penaltylib.BatchedPresencePenalizer, penaltylib.BatchedRepetitionPenalizer]
    orchestrator = penaltylib.BatchedPenalizerOrchestrator(len(row), batch, penalizers)
    for token in history[prompt:]:
        orchestrator.cumulate_output_tokens(torch.tensor([token]))
    orchestrator.apply(logits)
    for token, addend in bias.items():
        logits[0, token] += addend
    probabilities = torch.softmax(logits / given.temperature, -1)
    one = torch.tensor([1.0])
    _, weights, ids, _ = top_k_top_p_min_p_sampling_from_probs_torch(
        probabilities,
        (one * given.top_k).long(),
        one * given.top_p,
        one * given.min_p,
        given.min_p > 0,
        None,
        torch.tensor([0]),
        return_filtered_probs=True,
    )
    return normalised(torch.zeros_like(weights).scatter_(1, ids.long(), weights)[0].tolist())
