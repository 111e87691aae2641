"""llama.cpp, in an environment with llama-cpp-python 0.3.36: the samplers of the default chain, each applied to one array of tokens."""

import ctypes

import llama_cpp
from rows import softmax

ORIGIN, ONE_FILTER = "ran", False
TAKES = (
    "temperature", "top_k", "top_p", "min_p", "typical_p", "top_n_sigma", "xtc_threshold", "xtc_probability", "repetition_penalty",
    "presence_penalty", "frequency_penalty", "penalty_last_n", "logit_bias", "dynatemp_range",
    "dynatemp_exponent", "mirostat", "mirostat_tau", "mirostat_eta", "adaptive_target", "adaptive_decay", "dry_multiplier", "dry_base",
    "dry_allowed_length", "dry_penalty_last_n",
)  # fmt: skip


def version():
    return f"llama-cpp-python {llama_cpp.__version__}"


def chain(size, p):
    """Return the samplers that common_sampler_init makes, in its order, with its defaults of companions."""
    if p.get("mirostat", 0):
        yield llama_cpp.llama_sampler_init_temp(p.get("temperature", 1.0))
        tau, eta = p.get("mirostat_tau", 5.0), p.get("mirostat_eta", 0.1)
        one = p["mirostat"] == 1
        yield (
            llama_cpp.llama_sampler_init_mirostat(size, 7, tau, eta, 100) if one else llama_cpp.llama_sampler_init_mirostat_v2(7, tau, eta)
        )
        return
    penalties = {"repetition_penalty", "presence_penalty", "frequency_penalty"} & set(p)
    if "logit_bias" in p:
        biases = [llama_cpp.llama_logit_bias(token, bias) for token, bias in p["logit_bias"].items()]
        yield llama_cpp.llama_sampler_init_logit_bias(size, len(biases), (llama_cpp.llama_logit_bias * len(biases))(*biases))
    if penalties:
        repeat, frequency, presence = (p.get(f"{n}_penalty", d) for n, d in (("repetition", 1.0), ("frequency", 0.0), ("presence", 0.0)))
        if not repeat > 0:
            raise ValueError("penalty_repeat must be finite and greater than 0")
        yield llama_cpp.llama_sampler_init_penalties(size, p.get("penalty_last_n", 64), repeat, frequency, presence)
    if "dry_multiplier" in p:
        length, window = p.get("dry_allowed_length", 2), p.get("dry_penalty_last_n", 64)
        yield llama_cpp.llama_sampler_init_dry(None, p["dry_multiplier"], p.get("dry_base", 1.75), length, window, None, 0)
    if "top_n_sigma" in p:
        yield llama_cpp.llama_sampler_init_top_n_sigma(p["top_n_sigma"])
    if "top_k" in p:
        yield llama_cpp.llama_sampler_init_top_k(p["top_k"])
    if "typical_p" in p:
        yield llama_cpp.llama_sampler_init_typical(p["typical_p"], 0)
    if "top_p" in p:
        yield llama_cpp.llama_sampler_init_top_p(p["top_p"], 0)
    if "min_p" in p:
        yield llama_cpp.llama_sampler_init_min_p(p["min_p"], 0)
    if {"xtc_threshold", "xtc_probability"} & set(p):
        yield llama_cpp.llama_sampler_init_xtc(p.get("xtc_probability", 0.0), p.get("xtc_threshold", 0.1), 0, 7)
    if {"temperature", "dynatemp_range"} & set(p):
        yield llama_cpp.llama_sampler_init_temp_ext(
            p.get("temperature", 1.0), p.get("dynatemp_range", 0.0), p.get("dynatemp_exponent", 1.0)
        )
    if "adaptive_target" in p:
        yield llama_cpp.llama_sampler_init_adaptive_p(p["adaptive_target"], p.get("adaptive_decay", 0.9), 7)


def run(row, parameters, history, prompt):
    data = (llama_cpp.llama_token_data * len(row))(*(llama_cpp.llama_token_data(i, z, 0.0) for i, z in enumerate(row)))
    tokens = llama_cpp.llama_token_data_array(data, len(row), -1, False)
    for sampler in chain(len(row), parameters):
        for token in history:
            llama_cpp.llama_sampler_accept(sampler, token)
        llama_cpp.llama_sampler_apply(sampler, ctypes.byref(tokens))
        llama_cpp.llama_sampler_free(sampler)
    left = [float("-inf")] * len(row)
    for i in range(tokens.size):
        left[tokens.data[i].id] = tokens.data[i].logit
    return softmax(left)
