"""transformers: the logits processors of `generate` with do_sample=True."""

from samplerfuzz.core.dialects.dialect import Dialect, Rule

TRANSFORMERS = Dialect(
    name="transformers",
    version="5.23.0",
    source="transformers.generation: docstrings of logits_process.py and GenerationConfig; GenerationMixin._get_logits_processor",
    order=(
        "logit_bias",
        "repetition_penalty",
        "forbidden_tokens",
        "temperature",
        "top_h",
        "top_k",
        "top_p",
        "min_p",
        "typical_p",
        "epsilon_cutoff",
        "eta_cutoff",
    ),
    rules={
        "logit_bias": Rule(called="sequence_bias"),
        "repetition_penalty": Rule(takes="(0, inf)", off="1"),
        "forbidden_tokens": Rule(called="suppress_tokens"),
        "temperature": Rule(takes="(0, inf)"),
        "top_h": Rule(takes="(0, 1]"),
        "top_k": Rule(takes="0; [1, inf)", off="0"),
        "top_p": Rule(takes="[0, inf)", off="[1, inf)"),
        "min_p": Rule(takes="[0, 1]", off="0"),
        "typical_p": Rule(takes="(0, inf)", off="[1, inf)"),
        "epsilon_cutoff": Rule(off="(-inf, 0]; [1, inf)"),
        "eta_cutoff": Rule(off="(-inf, 0]; [1, inf)"),
    },
    conventions={
        "repetition_penalty.tokens": "all",
        "top_h.entropy": "renormalised",
        "top_k.ties": "all",
        "top_p.mass": "left",
        "top_p.nothing": "maximum",
        "top_p.crossing": "reached",
        "top_p.ties": "cut",
        "typical_p.crossing": "reached",
        "typical_p.ties": "all",
    },
    habits={"top_p.ties": "high"},
    notes=("Greedy is do_sample=False, not a temperature.", "None switches any parameter off."),
)
