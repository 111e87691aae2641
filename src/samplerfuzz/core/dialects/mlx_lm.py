"""mlx-lm: `make_logits_processors` and `make_sampler`."""

from samplerfuzz.core.dialects.dialect import Dialect, Rule

MLX_LM = Dialect(
    name="mlx-lm",
    version="0.32.2",
    source="mlx_lm.sample_utils: docstrings and code of make_sampler, make_logits_processors and the apply_* functions",
    order=(
        "logit_bias",
        "repetition_penalty",
        "presence_penalty",
        "frequency_penalty",
        "top_p",
        "min_p",
        "xtc",
        "top_k",
        "temperature",
    ),
    rules={
        "logit_bias": Rule(),
        "repetition_penalty": Rule(takes="[0, inf)", off="0; 1"),
        "presence_penalty": Rule(off="0"),
        "frequency_penalty": Rule(off="0"),
        "penalty_last_n": Rule(
            takes="[0, inf)", default=20, called="repetition_context_size, presence_context_size, frequency_context_size"
        ),
        "top_p": Rule(off="(-inf, 0]; [1, inf)"),
        "min_p": Rule(takes="[0, 1]", off="0"),
        "xtc_threshold": Rule(takes="[0, 0.5]", default=0.1),
        "xtc_probability": Rule(takes="(-inf, 1]", off="(-inf, 0]", default=0),
        "top_k": Rule(takes="(-inf, V)", off="(-inf, 0]"),
        "temperature": Rule(called="temp"),
    },
    conventions={
        "repetition_penalty.tokens": "all",
        "presence_penalty.tokens": "all",
        "frequency_penalty.tokens": "all",
        "top_p.mass": "left",
        "top_p.crossing": "reached",
        "top_p.ties": "all",
        "xtc.choice": "above",
        "xtc.ties": "all",
        "top_k.ties": "cut",
        "temperature.negative": "invert",
        "temperature.greedy": "first",
    },
    notes=(
        "Temperature comes last: every filter sees the row at T = 1. At T = 0 the arg-max is taken before any filter.",
        "One coin of XTC a call, whatever the number of rows; special tokens can be exempt from XTC.",
    ),
)
