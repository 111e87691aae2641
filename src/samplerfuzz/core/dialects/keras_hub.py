"""keras-hub: `TopKSampler` and `TopPSampler`, the second with its top-k cut."""

from samplerfuzz.core.dialects.dialect import Dialect, Rule

KERAS_HUB = Dialect(
    name="keras-hub",
    version="0.32.0",
    source="keras_hub.samplers: docstrings and code of Sampler, TopKSampler and TopPSampler; keras 3.15.1 with the JAX backend",
    order=("temperature", "top_k", "top_p"),
    rules={
        "temperature": Rule(takes="(-inf, 0); (0, inf)"),
        "top_k": Rule(takes="[1, V]", called="k"),
        "top_p": Rule(off="[1, inf)", called="p"),
    },
    conventions={
        "temperature.negative": "invert",
        "top_k.ties": "cut",
        "top_p.mass": "full",
        "top_p.nothing": "maximum",
        "top_p.crossing": "exceeded",
        "top_p.ties": "cut",
    },
    habits={"top_k.ties": "low", "top_p.ties": "low"},
    notes=("Greedy is GreedySampler, not a temperature.",),
)
