"""x-transformers: `AutoregressiveWrapper.generate` with one of its filters."""

from samplerfuzz.core.dialects.dialect import Dialect, Rule

X_TRANSFORMERS = Dialect(
    name="x-transformers",
    version="2.31.10",
    source="x_transformers.autoregressive_wrapper: top_k, top_p, min_p, top_a and AutoregressiveWrapper.generate",
    order=("top_k", "top_p", "min_p", "top_a", "temperature"),
    rules={
        "top_k": Rule(takes="[1, inf)", called="k"),
        "top_p": Rule(off="[1, inf)", called="thres"),
        "min_p": Rule(takes="(-inf, 1]", off="(-inf, 0]"),
        "top_a": Rule(takes="(-inf, 1]", off="(-inf, 0]", called="min_p_ratio"),
        "temperature": Rule(),
    },
    conventions={
        "top_k.ties": "cut",
        "top_p.mass": "left",
        "top_p.nothing": "maximum",
        "top_p.crossing": "exceeded",
        "top_p.ties": "cut",
        "temperature.negative": "invert",
        "temperature.greedy": "first",
    },
    habits={"top_p.ties": "low"},
    one_filter=True,
    notes=("The filter sees the row at T = 1. At T = 0 the arg-max is taken without it.",),
)
