"""x-transformers: each filter alone, what `generate` does with them, and the Gumbel draws.

In an environment with torch and x-transformers. The filters are those of `x_transformers.autoregressive_wrapper`; `generate` divides by
the temperature after the filter, takes the softmax and calls torch.multinomial.
"""

from importlib.metadata import version as installed

import torch
from x_transformers import autoregressive_wrapper, nonautoregressive_wrapper

import samplerfuzz as sf

LACKS = {}

torch.set_num_threads(1)


def version():
    return f"x-transformers {installed('x-transformers')}, torch {torch.__version__}"


@sf.target(order=["top_k"], returns="logits", dialect="x-transformers")
def top_k(logits, top_k):
    """autoregressive_wrapper.top_k"""
    return autoregressive_wrapper.top_k(torch.tensor(logits), k=top_k).numpy()


@sf.target(order=["top_p"], returns="logits", dialect="x-transformers")
def top_p(logits, top_p):
    """autoregressive_wrapper.top_p"""
    return autoregressive_wrapper.top_p(torch.tensor(logits), thres=top_p).numpy()


@sf.target(order=["top_p"], returns="logits", dialect="x-transformers", dtype="bfloat16")
def top_p_bfloat16(logits, top_p):
    """autoregressive_wrapper.top_p on bfloat16 logits"""
    return autoregressive_wrapper.top_p(torch.tensor(logits).bfloat16(), thres=top_p).float().numpy()


@sf.target(order=["min_p"], returns="logits", dialect="x-transformers")
def min_p(logits, min_p):
    """autoregressive_wrapper.min_p"""
    return autoregressive_wrapper.min_p(torch.tensor(logits), min_p=min_p).numpy()


@sf.target(order=["min_p"], returns="logits", dialect="x-transformers", dtype="bfloat16")
def min_p_bfloat16(logits, min_p):
    """autoregressive_wrapper.min_p on bfloat16 logits"""
    return autoregressive_wrapper.min_p(torch.tensor(logits).bfloat16(), min_p=min_p).float().numpy()


@sf.target(order=["top_a"], returns="logits", dialect="x-transformers")
def top_a(logits, top_a):
    """autoregressive_wrapper.top_a"""
    return autoregressive_wrapper.top_a(torch.tensor(logits), min_p_pow=2.0, min_p_ratio=top_a).numpy()


def drawn(filtered, temperature):
    probabilities = torch.softmax(filtered / temperature, dim=-1)
    return torch.multinomial(probabilities, 1)[:, 0].numpy()


@sf.target(order=["top_k", "temperature"], returns="tokens", dialect="x-transformers")
def top_k_drawn(logits, top_k, temperature, seed):
    """the token that AutoregressiveWrapper.generate draws with top_k"""
    torch.manual_seed(seed)
    given = torch.tensor(logits)
    if temperature == 0.0:
        return given.argmax(-1).numpy()
    return drawn(autoregressive_wrapper.FILTER_LOGITS_FN["top_k"](given, k=top_k), temperature)


@sf.target(order=["top_p", "temperature"], returns="tokens", dialect="x-transformers")
def top_p_drawn(logits, top_p, temperature, seed):
    """the token that AutoregressiveWrapper.generate draws with top_p"""
    torch.manual_seed(seed)
    given = torch.tensor(logits)
    if temperature == 0.0:
        return given.argmax(-1).numpy()
    return drawn(autoregressive_wrapper.FILTER_LOGITS_FN["top_p"](given, thres=top_p), temperature)


def checked(temperature):
    # below, the library computes with a least temperature of its own, which is neither the one asked for nor greedy
    if not temperature >= 1e-3:
        raise ValueError(f"temperature={temperature}: expected at least 0.001")
    return temperature


@sf.target(order=["temperature"], returns="tokens", zero_temperature="reject")
def gumbel_sample(logits, temperature, seed):
    """autoregressive_wrapper.gumbel_sample"""
    torch.manual_seed(seed)
    return autoregressive_wrapper.gumbel_sample(torch.tensor(logits), temperature=checked(temperature), eps=1e-6).numpy()


@sf.target(order=["temperature"], returns="tokens", zero_temperature="reject", dtype="bfloat16", draws_in="float32")
def gumbel_sample_bfloat16(logits, temperature, seed):
    """autoregressive_wrapper.gumbel_sample on bfloat16 logits"""
    torch.manual_seed(seed)
    return autoregressive_wrapper.gumbel_sample(torch.tensor(logits).bfloat16(), temperature=checked(temperature), eps=1e-6).numpy()


@sf.target(order=["temperature"], returns="tokens", zero_temperature="reject")
def nonautoregressive_gumbel_sample(logits, temperature, seed):
    """nonautoregressive_wrapper.gumbel_sample"""
    torch.manual_seed(seed)
    return nonautoregressive_wrapper.gumbel_sample(torch.tensor(logits), temperature=checked(temperature), dim=-1).numpy()
