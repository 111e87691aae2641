"""samplerfuzz: what the samplers of this package do when nothing else is asked for."""

from samplerfuzz.core.dialects.dialect import Dialect, Rule
from samplerfuzz.core.registry import TECHNIQUES

OWN = Dialect(
    name="samplerfuzz",
    version="of this package",
    source="module docstrings of samplerfuzz.samplers",
    order=tuple(TECHNIQUES),
    rules={parameter.name: Rule(takes="[-inf, inf]") for item in TECHNIQUES.values() for parameter in item.parameters},
    conventions={
        "repetition_penalty.tokens": "all",
        "presence_penalty.tokens": "all",
        "frequency_penalty.tokens": "all",
        "temperature.negative": "invert",
        "temperature.greedy": "in_turn",
        "dynatemp.count": "allowed",
        "dynatemp.zero": "range",
        "dynatemp.negative": "invert",
        "tfs_z.before": "first",
        "tfs_z.masked": "absent",
        "top_h.entropy": "renormalised",
        "p_less_norm.count": "allowed",
        "top_n_sigma.sigma": "population",
        "top_n_sigma.zero": "off",
        "top_k.ties": "all",
        "typical_p.nothing": "first",
        "typical_p.crossing": "reached",
        "typical_p.ties": "all",
        "top_p.mass": "left",
        "top_p.nothing": "maximum",
        "top_p.crossing": "reached",
        "top_p.ties": "all",
        "min_p.above_one": "maximum",
        "xtc.choice": "at_least",
        "xtc.ties": "all",
    },
)
