"""SGLang: `SamplingParams` and the sampler with the PyTorch backend."""

from samplerfuzz.core.dialects.dialect import Dialect, Rule

SGLANG = Dialect(
    name="sglang",
    version="0.5.23",
    source="sglang.srt.sampling.sampling_params.SamplingParams, sampling.penaltylib; sglang.srt.layers.sampler, PyTorch backend",
    order=("frequency_penalty", "presence_penalty", "repetition_penalty", "logit_bias", "temperature", "top_k", "top_p", "min_p"),
    rules={
        "frequency_penalty": Rule(takes="[-2, 2]", off="0"),
        "presence_penalty": Rule(takes="[-2, 2]", off="0"),
        "repetition_penalty": Rule(takes="(0, 2]", off="1"),
        "logit_bias": Rule(),
        "temperature": Rule(takes="[0, inf)", becomes=(("[0, 1e-6)", 0.0),)),
        "top_k": Rule(takes="-1; [1, inf)", off="-1"),
        "top_p": Rule(takes="(0, 1]", off="1"),
        "min_p": Rule(takes="[0, 1]", off="0"),
    },
    conventions={
        "frequency_penalty.tokens": "output",
        "presence_penalty.tokens": "output",
        "repetition_penalty.tokens": "output",
        "temperature.greedy": "first",
        "top_k.ties": "cut",
        "top_p.mass": "full",
        "top_p.crossing": "exceeded",
        "top_p.ties": "cut",
    },
    habits={"top_k.ties": "low", "top_p.ties": "low"},
    notes=("Greedy is top_k = 1 at temperature 1.",),
)
