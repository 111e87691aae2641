"""The samplers: one technique a file, in JAX, pure, every parameter traced. Importing this loads JAX.

`samplers.chain(samplers.temperature(0.8), samplers.top_k(50))(logits, state)` gives logits, state and diagnostics, and its `accept` the next state;
`samplers.draw(key, logits)` gives tokens; `samplers.apply(order, params, logits)` runs a chain given as data.
"""

from samplerfuzz.samplers.adaptive_p import adaptive_p
from samplerfuzz.samplers.chain import Chain, apply, build, chain
from samplerfuzz.samplers.draw import NOTHING, draw, draw_from_uniform
from samplerfuzz.samplers.dry import dry
from samplerfuzz.samplers.greedy import greedy
from samplerfuzz.samplers.logit_bias import dense_bias, logit_bias
from samplerfuzz.samplers.min_p import min_p
from samplerfuzz.samplers.mirostat import mirostat
from samplerfuzz.samplers.parameter import token_mask
from samplerfuzz.samplers.penalties import frequency_penalty, presence_penalty, repetition_penalty
from samplerfuzz.samplers.stage import Info, Stage, State
from samplerfuzz.samplers.temperature import temperature
from samplerfuzz.samplers.top_k import top_k
from samplerfuzz.samplers.top_n_sigma import top_n_sigma
from samplerfuzz.samplers.top_p import top_p
from samplerfuzz.samplers.typical_p import typical_p
from samplerfuzz.samplers.xtc import xtc

__all__ = [
    "NOTHING",
    "Chain",
    "Info",
    "Stage",
    "State",
    "adaptive_p",
    "apply",
    "build",
    "chain",
    "dense_bias",
    "draw",
    "draw_from_uniform",
    "dry",
    "frequency_penalty",
    "greedy",
    "logit_bias",
    "min_p",
    "mirostat",
    "presence_penalty",
    "repetition_penalty",
    "temperature",
    "token_mask",
    "top_k",
    "top_n_sigma",
    "top_p",
    "typical_p",
    "xtc",
]
