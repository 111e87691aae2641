"""gemma: the sampling methods of `gemma.gm.text`, one of them a call."""

from samplerfuzz.core.dialects.dialect import Dialect, Rule

GEMMA = Dialect(
    name="gemma",
    version="3.3.0",
    source="gemma.gm.text._sampling: RandomSampling, TopkSampling, TopPSampling",
    order=("top_k", "temperature", "top_p"),
    rules={
        "top_k": Rule(takes="[1, V]", called="k"),
        "temperature": Rule(takes="(-inf, 0); (0, inf)"),
        "top_p": Rule(off="[1, inf)", called="p"),
    },
    conventions={
        "top_k.ties": "cut",
        "temperature.negative": "invert",
        "top_p.mass": "left",
        "top_p.nothing": "maximum",
        "top_p.crossing": "reached",
        "top_p.ties": "all",
    },
    habits={"top_k.ties": "low"},
    one_filter=True,
    notes=("Greedy is a method of its own, not a temperature.", "What top-p removes has the least finite logit, not minus infinity."),
)
