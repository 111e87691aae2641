"""samplerfuzz: its own LLaMA, float32, one compiled loop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import samplerfuzz
from samplerfuzz.llama.decoding import generate, stream
from samplerfuzz.llama.forward import prefill
from samplerfuzz.llama.load import load_model
from samplerfuzz.llama.model import LlamaModel


def _greedy(_params: Any, _key: jax.Array, logits: jax.Array, state: Any) -> tuple[jax.Array, Any, Any]:
    return jnp.argmax(logits, axis=-1).astype(jnp.int32), state, ()


class _Builtin:
    def __init__(self, model: LlamaModel) -> None:
        self._model = model

    def decode(self, prompts: Sequence[Sequence[int]], steps: int) -> float:
        pieces = stream(
            self._model, prompts, sample=_greedy, sampler_params=None, key=jax.random.key(0), max_new_tokens=1 + steps, chunk=steps
        )
        next(pieces)
        begun = time.perf_counter()
        next(pieces)
        return time.perf_counter() - begun

    def prefill(self, prompt: Sequence[int]) -> float:
        begun = time.perf_counter()
        logits, _ = prefill(self._model, np.array([prompt]))
        jnp.argmax(logits, axis=-1).block_until_ready()
        return time.perf_counter() - begun

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        key = jax.random.key(0)
        return generate(self._model, [prompt], sample=_greedy, sampler_params=None, key=key, max_new_tokens=count).rows()[0]


class _Peer:
    def version(self) -> str:
        return f"{samplerfuzz.__version__}, jax {jax.__version__}"

    def how(self) -> str:
        return f"float32 on {jax.devices()[0].device_kind}, one compiled loop"

    def lacks(self, model: Path) -> str:
        return ""

    @contextmanager
    def load(self, model: Path, rows: int, positions: int) -> Iterator[_Builtin]:
        yield _Builtin(load_model(model)[0])


def peer() -> _Peer:
    """Return the peer."""
    return _Peer()
