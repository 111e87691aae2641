"""Which tokens are least and most likely somewhere, over many contexts that the model itself writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from samplerfuzz import samplers
from samplerfuzz.llama.decoding import generate
from samplerfuzz.llama.model import LlamaModel

_ROWS = 16


@dataclass(frozen=True, kw_only=True)
class Contexts:
    """Counts over N contexts: `argmin` and `argmax` [V], how often each id was the least and the most likely; `seen` [V], how often it was written."""

    count: int
    argmin: np.ndarray
    argmax: np.ndarray
    seen: np.ndarray


def contexts(
    model: LlamaModel, prompts: Sequence[Sequence[int]], *, wanted: int, seed: int, tell: Callable[[int, int], None] = lambda done, of: None
) -> Contexts:
    """Continue the prompts at T = 1 and count, at every step, which token is least and which most likely.

    Args:
      prompts: token ids, none empty; used in turn.
      wanted: contexts, at least.
      seed: of the draws.
      tell: hears how many are done, of how many.
    """
    length = min(64, model.config.max_position - max(map(len, prompts)))
    calls = -(-wanted // (_ROWS * length))
    size = model.config.vocab_size
    counts = {name: np.zeros(size, np.int64) for name in ("argmin", "argmax", "seen")}
    chain = samplers.chain(samplers.temperature(1.0))
    for call in range(calls):
        tell(call * _ROWS * length, calls * _ROWS * length)
        rows = [prompts[(call * _ROWS + row) % len(prompts)] for row in range(_ROWS)]
        made = generate(model, rows, sample=_sample, sampler_params=chain, key=jax.random.key(seed + call), max_new_tokens=length)
        least, most = made.info
        counts["argmin"] += np.bincount(least.ravel(), minlength=size)
        counts["argmax"] += np.bincount(most.ravel(), minlength=size)
        counts["seen"] += np.bincount(made.tokens[made.tokens >= 0], minlength=size)
    return Contexts(count=calls * _ROWS * length, **counts)


def _sample(chain: samplers.Chain, key: jax.Array, logits: jax.Array, state: Any) -> tuple[jax.Array, Any, Any]:
    token, _, _ = samplers.sample(key, chain, logits)
    return token, state, (jnp.argmin(logits, -1), jnp.argmax(logits, -1))
