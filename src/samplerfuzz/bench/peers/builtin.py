"""The samplers of this package: `samplers.sample`, compiled once for a shape, its parameters traced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from samplerfuzz import samplers
from samplerfuzz.bench.workloads import Workload

_KEYS = 64


@jax.jit
def _step(key: jax.Array, chain: samplers.Chain, logits: jax.Array) -> jax.Array:
    return samplers.sample(key, chain, logits)[0]


class _Step:
    def __init__(self, workload: Workload, logits: np.ndarray) -> None:
        given = workload.values(len(logits)) if workload.per_row else dict(workload.parameters)
        self.chain: Any = jax.tree.map(jnp.asarray, samplers.build(workload.order, given))
        self.logits = jnp.asarray(logits)
        self.keys = list(jax.random.split(jax.random.key(0), _KEYS))
        self.calls = 0

    def __call__(self) -> np.ndarray:
        self.calls += 1
        return np.asarray(_step(self.keys[self.calls % _KEYS], self.chain, self.logits))

    def kept(self) -> np.ndarray:
        return np.asarray(self.chain(self.logits)[0]) > -np.inf

    def scratch(self) -> int:
        """Return the bytes the compiled step needs beside its arguments and results."""
        memory = _step.lower(self.keys[0], self.chain, self.logits).compile().memory_analysis()
        return 0 if memory is None else int(memory.temp_size_in_bytes)


class _Builtin:
    def version(self) -> str:
        import samplerfuzz

        return f"{samplerfuzz.__version__}, jax {jax.__version__}"

    def how(self) -> str:
        return "samplers.sample under jax.jit, parameters traced, asynchronous dispatch off; tokens on the host"

    def lacks(self, workload: Workload) -> str:
        return ""

    @contextmanager
    def prepare(self, workload: Workload, logits: np.ndarray) -> Iterator[_Step]:
        yield _Step(workload, logits)


def peer() -> _Builtin:
    """Return the peer."""
    # the others are called and return with their result; a hand-over to another thread would only be waited for
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    return _Builtin()
