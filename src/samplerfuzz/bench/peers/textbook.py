"""The textbook in JAX: a sort of the row, its cumulative sum, `jax.random.categorical`. What anybody would write first, and there wherever this package is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from samplerfuzz.bench.workloads import Workload


def _top_k(z: jax.Array, k: jax.Array) -> jax.Array:
    ordered = jnp.sort(z, axis=-1, descending=True)
    last = jnp.take_along_axis(ordered, jnp.clip(k.astype(jnp.int32) - 1, 0, z.shape[-1] - 1)[:, None], axis=-1)
    return jnp.where((z >= last) | (k <= 0)[:, None], z, -jnp.inf)


def _top_p(z: jax.Array, p: jax.Array) -> jax.Array:
    ordered = jnp.sort(z, axis=-1, descending=True)
    shares = jax.nn.softmax(ordered, axis=-1)
    kept = jnp.cumsum(shares, axis=-1) - shares < p[:, None]
    last = jnp.min(jnp.where(kept, ordered, jnp.inf), axis=-1, keepdims=True)
    return jnp.where((z >= last) | (p >= 1)[:, None], z, -jnp.inf)


def _min_p(z: jax.Array, a: jax.Array) -> jax.Array:
    p = jax.nn.softmax(z, axis=-1)
    return jnp.where(p >= a[:, None] * jnp.max(p, axis=-1, keepdims=True), z, -jnp.inf)


_STAGES = {
    "temperature": lambda z, t: z / t[:, None],
    "top_k": _top_k,
    "top_p": _top_p,
    "min_p": _min_p,
    "top_n_sigma": lambda z, n: jnp.where(z >= jnp.max(z, axis=-1, keepdims=True) - n[:, None] * jnp.std(z, axis=-1, keepdims=True), z, -jnp.inf),
}  # fmt: skip


@partial(jax.jit, static_argnames="order")
def _filtered(values: Mapping[str, jax.Array], logits: jax.Array, *, order: tuple[str, ...]) -> jax.Array:
    for name in order:
        logits = _STAGES[name](logits, values[name])
    return logits


@partial(jax.jit, static_argnames="order")
def _step(key: jax.Array, values: Mapping[str, jax.Array], logits: jax.Array, *, order: tuple[str, ...]) -> jax.Array:
    return jax.random.categorical(key, _filtered(values, logits, order=order))


class _Step:
    def __init__(self, workload: Workload, logits: np.ndarray) -> None:
        self.order = workload.order
        self.values = {name: jnp.asarray(value, jnp.float32) for name, value in workload.values(len(logits)).items()}
        self.logits = jnp.asarray(logits)
        self.key = jax.random.key(0)

    def __call__(self) -> np.ndarray:
        return np.asarray(_step(self.key, self.values, self.logits, order=self.order))

    def kept(self) -> np.ndarray:
        return np.asarray(_filtered(self.values, self.logits, order=self.order)) > -np.inf


class _Textbook:
    def version(self) -> str:
        return jax.__version__

    def how(self) -> str:
        return "jnp.sort, jnp.cumsum, jax.random.categorical under jax.jit"

    def lacks(self, workload: Workload) -> str:
        missing = [name for name in workload.order if name not in _STAGES]
        return f"it has no {', '.join(missing)}" if missing else ""

    @contextmanager
    def prepare(self, workload: Workload, logits: np.ndarray) -> Iterator[_Step]:
        yield _Step(workload, logits)


def peer() -> _Textbook:
    """Return the peer."""
    return _Textbook()
