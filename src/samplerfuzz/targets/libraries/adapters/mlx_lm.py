"""mlx-lm: each filter of `sample_utils` alone on log-probabilities, the samplers and logits processors that it makes, and their draws.

`sample_utils.py` is loaded from where mlx-lm is installed: it needs only mlx, and the package's own import would load transformers. Random
numbers come from mlx's one global state, which is seeded before each call.
"""

import contextlib
import importlib.metadata
import importlib.util
from pathlib import Path

import mlx.core as mx
import numpy as np

import samplerfuzz as sf

LACKS = {}

PACKAGE = Path(importlib.util.find_spec("mlx_lm").submodule_search_locations[0])
SPECIFICATION = importlib.util.spec_from_file_location("sample_utils", PACKAGE / "sample_utils.py")
utils = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(utils)


def version():
    return f"mlx-lm {importlib.metadata.version('mlx-lm')}, mlx {mx.__version__}"


def log_probabilities(logits, dtype=mx.float32):
    z = mx.array(logits).astype(dtype)
    return z - mx.logsumexp(z, axis=-1, keepdims=True)


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


@sf.target(order=["top_k"], returns="logits", dialect="mlx-lm")
def top_k(logits, top_k):
    """sample_utils.apply_top_k"""
    return answered(utils.apply_top_k(log_probabilities(logits), top_k))


@sf.target(order=["top_p"], returns="logits", dialect="mlx-lm")
def top_p(logits, top_p):
    """sample_utils.apply_top_p, where make_sampler calls it"""
    own = log_probabilities(logits)
    return answered(utils.apply_top_p(own, top_p) if 0 < top_p < 1 else own)


@sf.target(order=["min_p"], returns="logits", dialect="mlx-lm")
def min_p(logits, min_p, min_tokens_to_keep):
    """sample_utils.apply_min_p, where make_sampler calls it"""
    own = log_probabilities(logits)
    return answered(utils.apply_min_p(own, min_p, min_tokens_to_keep) if min_p != 0 else own)


@sf.target(order=["xtc"], returns="logits", dialect="mlx-lm", domain={"xtc_threshold": (0, 0.5)})
def xtc(logits, xtc_threshold, xtc_probability, seed):
    """sample_utils.apply_xtc"""
    mx.random.seed(seed)
    return answered(utils.apply_xtc(log_probabilities(logits), xtc_probability, xtc_threshold, []))


@sf.target(order=["top_k"], returns="logits", dialect="mlx-lm", dtype="bfloat16")
def top_k_bfloat16(logits, top_k):
    """sample_utils.apply_top_k in bfloat16"""
    return answered(utils.apply_top_k(mx.array(logits).astype(mx.bfloat16), top_k))


@sf.target(order=["top_p"], returns="logits", dialect="mlx-lm", dtype="bfloat16")
def top_p_bfloat16(logits, top_p):
    """sample_utils.apply_top_p in bfloat16, where make_sampler calls it"""
    own = log_probabilities(logits, mx.bfloat16)
    return answered(utils.apply_top_p(own, top_p) if 0 < top_p < 1 else own)


@sf.target(order=["min_p"], returns="logits", dialect="mlx-lm", dtype="bfloat16")
def min_p_bfloat16(logits, min_p):
    """sample_utils.apply_min_p in bfloat16, where make_sampler calls it"""
    own = mx.array(logits).astype(mx.bfloat16)
    return answered(utils.apply_min_p(own, min_p, 1) if min_p != 0 else own)


@sf.target(order=["xtc"], returns="logits", dialect="mlx-lm", dtype="bfloat16", domain={"xtc_threshold": (0, 0.5)})
def xtc_bfloat16(logits, xtc_threshold):
    """sample_utils.apply_xtc in bfloat16"""
    mx.random.seed(0)
    return answered(utils.apply_xtc(log_probabilities(logits, mx.bfloat16), 1.0, xtc_threshold, []))


@sf.target(order=["temperature"], returns="tokens", dialect="mlx-lm")
def categorical(logits, temperature, seed):
    """sample_utils.make_sampler with a temperature alone"""
    mx.random.seed(seed)
    return np.array(utils.make_sampler(temp=temperature, top_p=0.0, min_p=0.0, top_k=0, xtc_probability=0.0)(log_probabilities(logits)))


@sf.target(order=["temperature"], returns="tokens", dialect="mlx-lm", dtype="bfloat16", draws_in="float32")
def categorical_bfloat16(logits, temperature, seed):
    """sample_utils.make_sampler with a temperature alone, in bfloat16 as models answer"""
    mx.random.seed(seed)
    sampler = utils.make_sampler(temp=temperature, top_p=0.0, min_p=0.0, top_k=0, xtc_probability=0.0)
    return np.array(sampler(log_probabilities(logits, mx.bfloat16)))


@sf.target(order=["temperature"], returns="tokens", dialect="mlx-lm", dtype="float16", draws_in="float32")
def categorical_float16(logits, temperature, seed):
    """sample_utils.make_sampler with a temperature alone, in float16 as models answer"""
    mx.random.seed(seed)
    sampler = utils.make_sampler(temp=temperature, top_p=0.0, min_p=0.0, top_k=0, xtc_probability=0.0)
    return np.array(sampler(log_probabilities(logits, mx.float16)))


@sf.target(order=["top_p", "min_p", "top_k", "temperature"], returns="tokens", dialect="mlx-lm")
def sampler(logits, top_p, min_p, top_k, temperature, seed):
    """sample_utils.make_sampler without XTC"""
    mx.random.seed(seed)
    made = utils.make_sampler(temp=temperature, top_p=top_p, min_p=min_p, min_tokens_to_keep=1, top_k=top_k, xtc_probability=0.0)
    return np.array(made(log_probabilities(logits)))


@sf.target(order=["top_p", "min_p", "xtc", "top_k", "temperature"], returns="tokens", dialect="mlx-lm", domain={"xtc_threshold": (0, 0.5)})
def sampler_with_xtc(logits, top_p, min_p, xtc_threshold, xtc_probability, top_k, temperature, seed):
    """sample_utils.make_sampler with everything"""
    mx.random.seed(seed)
    made = utils.make_sampler(
        temp=temperature,
        top_p=top_p,
        min_p=min_p,
        min_tokens_to_keep=1,
        top_k=top_k,
        xtc_probability=xtc_probability,
        xtc_threshold=xtc_threshold,
        xtc_special_tokens=[],
    )
    return np.array(made(log_probabilities(logits)))


@sf.target(order=["temperature"], returns="tokens", dialect="mlx-lm")
def sampler_after_a_refusal(logits, temperature, seed):
    """sample_utils.make_sampler with a temperature, right after one with top_k = V was refused"""
    mx.random.seed(seed)
    own = log_probabilities(logits)
    with contextlib.suppress(ValueError):
        utils.make_sampler(temp=1.0, top_p=0.0, min_p=0.0, top_k=logits.shape[1], xtc_probability=0.0)(own)
    return np.array(utils.make_sampler(temp=temperature, top_p=0.0, min_p=0.0, top_k=0, xtc_probability=0.0)(own))


@sf.target(order=["repetition_penalty"], returns="logits", dialect="mlx-lm")
def repetition_penalty(logits, history, repetition_penalty, penalty_last_n):
    """sample_utils.make_logits_processors with a repetition penalty"""
    made = utils.make_logits_processors(repetition_penalty=repetition_penalty, repetition_context_size=penalty_last_n)
    return processed(made, logits, history)


@sf.target(order=["presence_penalty"], returns="logits", dialect="mlx-lm")
def presence_penalty(logits, history, presence_penalty, penalty_last_n):
    """sample_utils.make_logits_processors with a presence penalty"""
    made = utils.make_logits_processors(presence_penalty=presence_penalty, presence_context_size=penalty_last_n)
    return processed(made, logits, history)


@sf.target(order=["frequency_penalty"], returns="logits", dialect="mlx-lm")
def frequency_penalty(logits, history, frequency_penalty, penalty_last_n):
    """sample_utils.make_logits_processors with a frequency penalty"""
    made = utils.make_logits_processors(frequency_penalty=frequency_penalty, frequency_context_size=penalty_last_n)
    return processed(made, logits, history)


@sf.target(order=["logit_bias", "repetition_penalty", "presence_penalty", "frequency_penalty"], returns="logits", dialect="mlx-lm")
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


@sf.target(order=["top_p", "temperature"], returns="tokens", dialect="mlx-lm")
class Sampler:
    """sample_utils.make_sampler, step after step"""

    def __init__(self, top_p, temperature, seed):
        self.made = utils.make_sampler(temp=temperature, top_p=top_p, min_p=0.0, top_k=0, xtc_probability=0.0)
        self.seed = seed
        self.reset()

    def reset(self):
        mx.random.seed(self.seed)

    def step(self, logits):
        return np.array(self.made(log_probabilities(logits)))


@sf.target(order=["logit_bias"], returns="logits", dialect="mlx-lm")
def logit_bias(logits, logit_bias):
    """sample_utils.make_logits_processors with a logit bias, ids outside the vocabulary among them"""
    return processed(utils.make_logits_processors(logit_bias=logit_bias), logits, [[] for _ in logits])
