"""The built-in JAX samplers as targets: every technique alone and the common chains, fuzzed like anybody else's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from samplerfuzz.cases.ids import dense, outside
from samplerfuzz.core.errors import UsageError
from samplerfuzz.core.registry import TECHNIQUES, parameter, technique
from samplerfuzz.targets.plain import PlainTarget, target

PREFIX = "builtin:"
CHAINS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in TECHNIQUES},
    "common_chain": ("temperature", "top_k", "top_p"),
    "full_chain": (
        "repetition_penalty",
        "presence_penalty",
        "frequency_penalty",
        "temperature",
        "top_n_sigma",
        "top_k",
        "typical_p",
        "top_p",
        "min_p",
    ),
    "draw": ("temperature", "top_k", "top_p"),
}


def names() -> list[str]:
    """Return the built-in targets."""
    return [PREFIX + name for name in CHAINS]


def function(name: str) -> Callable[..., Any]:
    """Return the built-in target `name` as a plain function with its declaration.

    Raises:
      UsageError: no such built-in target.
    """
    if name not in CHAINS:
        raise UsageError(f"unknown built-in target {name!r}; known: {', '.join(CHAINS)}")
    return _function(name, CHAINS[name])


def builtin_target(name: str) -> PlainTarget:
    """Return the built-in target `name`, ready to be fuzzed."""
    return PlainTarget(function(name), locator=PREFIX + name, time_limit=120.0)


def _function(name: str, order: tuple[str, ...]) -> Callable[..., Any]:
    from samplerfuzz.samplers import apply

    parameters = list(dict.fromkeys(p.name for stage in order for p in technique(stage).parameters if p.name != technique(stage).coin))
    reads_history = any(technique(stage).reads_history for stage in order)
    returns = "tokens" if name == "draw" else "logits"

    def call(logits: np.ndarray, **given: Any) -> np.ndarray:
        import jax

        seed = given.pop("seed", None)
        history = given.pop("history", None)
        rows, size = logits.shape
        # shapes are padded, so that a campaign of any length compiles each chain once
        wide = _bucket(size, 64)
        tall = next(t for t in (8 if wide > 64 else 256, 2048, _bucket(rows, 1)) if t >= rows)
        z = np.full((tall, wide), -np.inf, np.float32)
        z[:rows, :size] = logits
        arrays = {n: _padded(np.asarray(v, np.float64), tall, rows) for n, v in given.items() if parameter(n).is_number}
        extra: dict[str, Any] = {}
        for n in given.keys() - arrays.keys():
            if outside(given[n], size).any():
                raise ValueError(f"{n} names an id outside the vocabulary of {size}")
            arrays[n] = np.zeros((tall, wide), np.float32 if parameter(n).kind == "bias" else bool)
            arrays[n][:rows, :size] = dense(given[n], size)
        if history is not None:
            longest = _bucket(max(len(ids) for ids in history), 32)
            ids = np.zeros((tall, longest), np.int32)
            lengths = np.zeros(tall, np.int32)
            for row, tokens in enumerate(history):
                if len(tokens) and (tokens.min() < 0 or tokens.max() >= size):
                    raise ValueError(f"history holds an id outside the vocabulary of {size}")
                ids[row, : len(tokens)] = tokens
                lengths[row] = len(tokens)
            extra = {"history": ids, "history_lengths": lengths}
        out = apply(order, arrays, z, **extra)
        if returns == "logits":
            return np.asarray(out)[:rows, :size]
        tokens = np.asarray(_draw()(jax.random.key(int(seed)), out))[:rows]
        if (tokens < 0).any():
            raise ValueError(f"row {int(np.flatnonzero(tokens < 0)[0])} has nothing to draw from (NaN or everything masked)")
        return tokens

    call.__name__ = name
    _declare_signature(call, parameters, reads_history, returns)
    declared = target(order=order, returns=returns, per_row=returns != "tokens", dialect="samplerfuzz")
    return declared(call)


def _bucket(n: int, least: int) -> int:
    return max(least, 1 << (n - 1).bit_length())


def _padded(values: np.ndarray, tall: int, rows: int) -> np.ndarray:
    return np.concatenate([np.broadcast_to(values, (rows,)), np.repeat(np.broadcast_to(values, (rows,))[-1:], tall - rows)]).astype(
        np.float32
    )


_DRAW: list[Any] = []


def _draw() -> Any:
    if not _DRAW:
        import jax

        from samplerfuzz.samplers import draw

        _DRAW.append(jax.jit(lambda key, logits: draw(key, logits)[0]))
    return _DRAW[0]


def _declare_signature(call: Any, parameters: list[str], reads_history: bool, returns: str) -> None:
    """Give the function the signature that the contract reads parameter names from."""
    import inspect

    named = [*parameters, *(["history"] if reads_history else []), *(["seed"] if returns == "tokens" else [])]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    call.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in ("logits", *named)])
