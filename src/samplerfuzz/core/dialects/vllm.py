"""vLLM: `SamplingParams` and the v1 sampler in its native PyTorch form."""

from samplerfuzz.core.dialects.dialect import Dialect, Rule

VLLM = Dialect(
    name="vllm",
    version="0.33.0",
    source="vllm.sampling_params.SamplingParams; vllm.v1.sample.sampler, ops.topk_topp_sampler, ops.penalties, logits_processor.builtin",
    order=(
        "allowed_tokens",
        "logit_bias",
        "repetition_penalty",
        "frequency_penalty",
        "presence_penalty",
        "temperature",
        "min_p",
        "top_k",
        "top_p",
    ),
    rules={
        "allowed_tokens": Rule(called="allowed_token_ids"),
        "logit_bias": Rule(),
        "repetition_penalty": Rule(takes="(0, inf)", off="1"),
        "frequency_penalty": Rule(takes="[-2, 2]", off="0"),
        "presence_penalty": Rule(takes="[-2, 2]", off="0"),
        "temperature": Rule(takes="[0, 2]", becomes=(("(0, 0.01)", 0.01),)),
        "min_p": Rule(takes="[0, 1]", off="0"),
        "top_k": Rule(takes="-1; 0; [1, inf)", off="-1; 0"),
        "top_p": Rule(takes="(0, 1]", off="1"),
    },
    conventions={
        "repetition_penalty.tokens": "all",
        "frequency_penalty.tokens": "output",
        "presence_penalty.tokens": "output",
        "temperature.greedy": "first",
        "top_k.ties": "any",
        "top_p.mass": "left",
        "top_p.crossing": "reached",
        "top_p.ties": "any",
    },
    habits={"top_k.ties": "all", "top_p.ties": "high"},
    notes=(
        "The sampler below SamplingParams takes any temperature under 1e-5 for greedy.",
        "Ties at a cut are the implementation's: PyTorch keeps all at top-k, the Triton kernel as many as fit, the lowest ids first.",
    ),
)
