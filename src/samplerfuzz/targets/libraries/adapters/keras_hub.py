"""keras-hub: its samplers with the JAX backend, from logits to a token as `Sampler.__call__` does it at every step.

In an environment with JAX, keras and keras-hub. Importing keras-hub imports tensorflow for its preprocessing; its samplers need none, so they
are loaded from their own files. Of the rest of the package three names are stood in for: the decorator of the public API, a function for
stop tokens, which is not called here, and the class of a model that speculative sampling treats in a way of its own.
"""

import importlib
import importlib.metadata
import os
import sys
import types

import jax
import numpy as np

import samplerfuzz as sf

LACKS = {}

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

# run step by step, a sampler is many small programs: where JAX keeps what it compiles, the next process has them too
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)

keras = importlib.import_module("keras")
greedy_sampler = importlib.import_module(f"{PACKAGE}.samplers.greedy_sampler")
random_sampler = importlib.import_module(f"{PACKAGE}.samplers.random_sampler")
speculative_sampler = importlib.import_module(f"{PACKAGE}.samplers.speculative_sampler")
top_k_sampler = importlib.import_module(f"{PACKAGE}.samplers.top_k_sampler")
top_p_sampler = importlib.import_module(f"{PACKAGE}.samplers.top_p_sampler")


def version():
    return f"keras-hub {importlib.metadata.version('keras-hub')}, keras {keras.__version__}, jax {importlib.metadata.version('jax')}"


def drawn(sampler, logits):
    return np.asarray(sampler.get_next_token(sampler.compute_probabilities(keras.ops.convert_to_tensor(logits))))


@sf.target(order=["temperature"], returns="probs", dialect="keras-hub")
def probabilities(logits, temperature):
    """Sampler.compute_probabilities"""
    sampler = random_sampler.RandomSampler(seed=0, temperature=temperature)
    return np.asarray(sampler.compute_probabilities(keras.ops.convert_to_tensor(logits)))


@sf.target(order=[], returns="tokens")
def greedy(logits):
    """GreedySampler"""
    return drawn(greedy_sampler.GreedySampler(temperature=1.0), logits)


@sf.target(order=["temperature"], returns="tokens", dialect="keras-hub")
def random(logits, temperature, seed):
    """RandomSampler"""
    return drawn(random_sampler.RandomSampler(seed=seed, temperature=temperature), logits)


@sf.target(order=["temperature", "top_k"], returns="tokens", dialect="keras-hub")
def top_k(logits, temperature, top_k, seed):
    """TopKSampler"""
    return drawn(top_k_sampler.TopKSampler(k=top_k, seed=seed, temperature=temperature), logits)


@sf.target(order=["temperature", "top_p"], returns="tokens", dialect="keras-hub")
def top_p(logits, temperature, top_p, seed):
    """TopPSampler without its cut of the k best"""
    return drawn(top_p_sampler.TopPSampler(p=top_p, k=None, seed=seed, temperature=temperature), logits)


@sf.target(order=["temperature", "top_k", "top_p"], returns="tokens", dialect="keras-hub")
def top_k_top_p(logits, temperature, top_k, top_p, seed):
    """TopPSampler with its cut of the k best"""
    return drawn(top_p_sampler.TopPSampler(p=top_p, k=top_k, seed=seed, temperature=temperature), logits)


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


def refused_draft(sampler, logits):
    # the draft model is sure of a token more, which the target model never takes: every token is drawn after a rejection
    masked = np.full((len(logits), 1), -np.inf, np.float32)
    return speculated(
        sampler, np.concatenate([logits, masked], 1), np.concatenate([np.full_like(logits, -np.inf), np.zeros_like(masked)], 1)
    )


@sf.target(order=["temperature"], returns="tokens", dialect="keras-hub")
def speculative(logits, temperature, seed):
    """SpeculativeSampler over a RandomSampler, where every token of the draft is refused"""
    base = random_sampler.RandomSampler(seed=seed, temperature=temperature)
    sampler = speculative_sampler.SpeculativeSampler(num_speculative_tokens=1, base_sampler=base, seed=seed, temperature=temperature)
    return refused_draft(sampler, logits)


@sf.target(order=["temperature"], returns="tokens", dialect="keras-hub")
def speculative_perfect_draft(logits, temperature, seed):
    """SpeculativeSampler over a RandomSampler, for a draft model that gives the same row"""
    base = random_sampler.RandomSampler(seed=seed, temperature=temperature)
    sampler = speculative_sampler.SpeculativeSampler(num_speculative_tokens=1, base_sampler=base, seed=seed, temperature=temperature)
    return speculated(sampler, logits, logits)


@sf.target(order=["temperature"], returns="tokens", dialect="keras-hub")
def speculative_sure_draft(logits, temperature, seed):
    """SpeculativeSampler over a RandomSampler, for a draft model that is sure of the largest token"""
    base = random_sampler.RandomSampler(seed=seed, temperature=temperature)
    sampler = speculative_sampler.SpeculativeSampler(num_speculative_tokens=1, base_sampler=base, seed=seed, temperature=temperature)
    sure = np.arange(logits.shape[1]) == logits.argmax(-1)[:, None]
    return speculated(sampler, logits, np.where(sure, 0, -np.inf).astype(np.float32))


@sf.target(order=["temperature"], returns="tokens", dialect="keras-hub")
def speculative_base_temperature(logits, temperature, seed):
    """SpeculativeSampler over a RandomSampler with a temperature, which it is documented to use"""
    base = random_sampler.RandomSampler(seed=seed, temperature=temperature)
    return refused_draft(speculative_sampler.SpeculativeSampler(num_speculative_tokens=1, base_sampler=base, seed=seed), logits)


@sf.target(order=["temperature", "top_k"], returns="tokens", dialect="keras-hub")
def speculative_top_k(logits, temperature, top_k, seed):
    """SpeculativeSampler over a TopKSampler, whose k it is documented to use"""
    base = top_k_sampler.TopKSampler(k=top_k, seed=seed, temperature=temperature)
    sampler = speculative_sampler.SpeculativeSampler(num_speculative_tokens=1, base_sampler=base, seed=seed, temperature=temperature)
    return refused_draft(sampler, logits)


@sf.target(order=["temperature", "top_p"], returns="tokens", dialect="keras-hub")
def speculative_top_p(logits, temperature, top_p, seed):
    """SpeculativeSampler over a TopPSampler, whose p it is documented to use"""
    base = top_p_sampler.TopPSampler(p=top_p, k=None, seed=seed, temperature=temperature)
    sampler = speculative_sampler.SpeculativeSampler(num_speculative_tokens=1, base_sampler=base, seed=seed, temperature=temperature)
    return refused_draft(sampler, logits)
