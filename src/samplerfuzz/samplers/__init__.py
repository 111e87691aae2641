"""The samplers: one technique a file, in JAX, pure, every parameter traced. Importing this loads JAX.

Every technique of the registry is here by its name: `samplers.chain(samplers.temperature(0.8), samplers.top_k(50))(logits, state)` gives
logits, state and diagnostics, and its `accept` the next state; `samplers.draw(key, logits)` gives tokens; `samplers.apply(order, params, logits)` runs a chain given as data.
"""

from typing import Any

from samplerfuzz.core.registry import TECHNIQUES, load
from samplerfuzz.samplers.chain import Chain, apply, build, chain
from samplerfuzz.samplers.draw import NOTHING, draw, draw_from_uniform
from samplerfuzz.samplers.from_dialect import from_dialect
from samplerfuzz.samplers.greedy import greedy
from samplerfuzz.samplers.joint import joint
from samplerfuzz.samplers.logit_bias import dense_bias
from samplerfuzz.samplers.sample import sample
from samplerfuzz.samplers.stage import Info, Stage, State
from samplerfuzz.samplers.token_lists import dense_ids

# bound when all their modules are loaded: a module and its technique share a name
globals().update({name: load(item.sampler) for name, item in TECHNIQUES.items()})

__all__ = [
    "NOTHING",
    "Chain",
    "Info",
    "Stage",
    "State",
    "apply",
    "build",
    "chain",
    "dense_bias",
    "dense_ids",
    "draw",
    "draw_from_uniform",
    "from_dialect",
    "greedy",
    "joint",
    "sample",
]
__all__ += list(TECHNIQUES)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"no technique {name!r}; known: {', '.join(TECHNIQUES)}")
