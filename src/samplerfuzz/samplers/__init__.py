"""JAX samplers: one technique a file, a chain, a draw. Pure: (logits, state) -> (logits, state, info)."""

from samplerfuzz.samplers.apply import apply
from samplerfuzz.samplers.chain import Chain, chain
from samplerfuzz.samplers.draw import draw
from samplerfuzz.samplers.greedy import greedy
from samplerfuzz.samplers.logit_bias import logit_bias
from samplerfuzz.samplers.min_p import min_p
from samplerfuzz.samplers.penalties import frequency_penalty, presence_penalty, repetition_penalty
from samplerfuzz.samplers.stage import Stage, State
from samplerfuzz.samplers.temperature import temperature
from samplerfuzz.samplers.top_k import top_k
from samplerfuzz.samplers.top_n_sigma import top_n_sigma
from samplerfuzz.samplers.top_p import top_p
from samplerfuzz.samplers.typical_p import typical_p
from samplerfuzz.samplers.xtc import xtc

__all__ = [
    "Chain",
    "Stage",
    "State",
    "apply",
    "chain",
    "draw",
    "frequency_penalty",
    "greedy",
    "logit_bias",
    "min_p",
    "presence_penalty",
    "repetition_penalty",
    "temperature",
    "top_k",
    "top_n_sigma",
    "top_p",
    "typical_p",
    "xtc",
]
