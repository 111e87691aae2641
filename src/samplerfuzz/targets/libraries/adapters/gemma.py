"""gemma: the sampling methods of `gemma.gm.text`, in float32 and in bfloat16, the dtype that its models give their logits in.

In an environment with JAX, gemma and what these methods import. kauldron, with which their arguments are checked, imports tensorflow for
the type of its tensors only; where there is none, that one name is stood in for meanwhile. A method shows nothing but the tokens that it draws.
"""

import importlib
import importlib.util
import sys
import types
from importlib.metadata import version as installed

import jax
import jax.numpy as jnp
import numpy as np

import samplerfuzz as sf

LACKS = {}

# run step by step, a sampler is many small programs: where JAX keeps what it compiles, the next process has them too
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)

ABSENT = importlib.util.find_spec("tensorflow") is None
if ABSENT:
    sys.modules["tensorflow"] = types.ModuleType("tensorflow")
    sys.modules["tensorflow"].Tensor = type("Tensor", (), {})

_sampling = importlib.import_module("gemma.gm.text._sampling")
if ABSENT:
    # etils asks for more of tensorflow wherever it finds it imported
    del sys.modules["tensorflow"]


def version():
    return f"gemma {installed('gemma')}, jax {jax.__version__}"


def drawn(method, logits, seed, dtype):
    return np.asarray(method.get_next_tokens(jnp.asarray(logits).astype(dtype), jax.random.key(seed)))


@sf.target(order=[], returns="tokens")
def greedy(logits):
    """Greedy"""
    return drawn(_sampling.Greedy(), logits, 0, jnp.float32)


@sf.target(order=["temperature"], returns="tokens", dialect="gemma")
def random(logits, temperature, seed):
    """RandomSampling"""
    return drawn(_sampling.RandomSampling(temperature=temperature), logits, seed, jnp.float32)


@sf.target(order=["temperature"], returns="tokens", dialect="gemma", dtype="bfloat16", draws_in="float32")
def random_bfloat16(logits, temperature, seed):
    """RandomSampling of bfloat16 logits"""
    return drawn(_sampling.RandomSampling(temperature=temperature), logits, seed, jnp.bfloat16)


@sf.target(order=["top_k", "temperature"], returns="tokens", dialect="gemma")
def top_k(logits, top_k, temperature, seed):
    """TopkSampling"""
    return drawn(_sampling.TopkSampling(k=top_k, temperature=temperature), logits, seed, jnp.float32)


@sf.target(order=["top_k", "temperature"], returns="tokens", dialect="gemma", dtype="bfloat16", draws_in="float32")
def top_k_bfloat16(logits, top_k, temperature, seed):
    """TopkSampling of bfloat16 logits"""
    return drawn(_sampling.TopkSampling(k=top_k, temperature=temperature), logits, seed, jnp.bfloat16)


@sf.target(order=["temperature", "top_p"], returns="tokens", dialect="gemma")
def top_p(logits, temperature, top_p, seed):
    """TopPSampling"""
    return drawn(_sampling.TopPSampling(p=top_p, temperature=temperature), logits, seed, jnp.float32)


@sf.target(order=["temperature", "top_p"], returns="tokens", dialect="gemma", dtype="bfloat16", draws_in="float32")
def top_p_bfloat16(logits, temperature, top_p, seed):
    """TopPSampling of bfloat16 logits"""
    return drawn(_sampling.TopPSampling(p=top_p, temperature=temperature), logits, seed, jnp.bfloat16)
