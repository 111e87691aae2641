"""The built-in JAX samplers as targets: every technique alone and the common chains, fuzzed like anybody else's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from samplerfuzz.cases.ids import dense, outside
from samplerfuzz.core.errors import UsageError
from samplerfuzz.core.registry import TECHNIQUES, parameter, technique
from samplerfuzz.targets.plain import PlainTarget, target

PREFIX = "builtin:"
_ROOM = 32
"""How many tokens a text of a campaign can grow by; beyond it the oldest are forgotten."""
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
    "text": ("repetition_penalty", "presence_penalty", "frequency_penalty", "dry", "temperature", "mirostat"),
}
_DRAWN = ("draw", "text")


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
    parameters = list(dict.fromkeys(p.name for stage in order for p in technique(stage).parameters if p.name != technique(stage).coin))
    returns = "tokens" if name in _DRAWN else "logits"
    remembers = any(technique(stage).remembers for stage in order)
    inputs = ["history"] if remembers or any(technique(stage).reads_history for stage in order) else []
    inputs += ["seed"] * (returns == "tokens") + ["state"] * remembers

    def once(logits: np.ndarray, **given: Any) -> np.ndarray:
        from samplerfuzz.samplers import apply

        seed, history = given.pop("seed", None), given.pop("history", None)
        z, arrays = _dense(logits, given, per_row=returns != "tokens")
        extra = {} if history is None else dict(zip(("history", "history_lengths"), _tokens(history, len(z), logits.shape[1]), strict=True))
        return _answer(apply(order, arrays, z, **extra), logits.shape, seed, 0)

    def step(logits: np.ndarray, history: list[np.ndarray], state: Any, **given: Any) -> tuple[np.ndarray, Any]:
        """Accept the newest token of each history, of which the step before knows all that is needed, and go on."""
        import jax.numpy as jnp

        from samplerfuzz.samplers import State, build

        seed = given.pop("seed", None)
        z, arrays = _dense(logits, given, per_row=returns != "tokens")
        chain = build(order, arrays)
        ids, lengths = _tokens(history, len(z), logits.shape[1], room=_ROOM)
        if state is None:
            known, count = chain.begin(State(jnp.asarray(ids), jnp.asarray(lengths))), 0
        else:
            before, infos, count = state
            newest = np.where(lengths > 0, ids[np.arange(len(ids)), np.maximum(lengths - 1, 0)], -1)
            known = _compiled()[1](chain, before, newest, infos)
        out, infos = _compiled()[0](chain, z, known)
        return _answer(out, logits.shape, seed, count), (known, infos, count + 1)

    call = step if remembers else once
    call.__name__ = name
    _declare_signature(call, [*parameters, *inputs])
    declared = target(order=order, returns=returns, per_row=returns != "tokens", dialect="samplerfuzz")
    return declared(call)


def _dense(logits: np.ndarray, given: dict[str, Any], *, per_row: bool) -> tuple[np.ndarray, dict[str, Any]]:
    """Return logits and parameters in shapes that are padded, so that a campaign of any length compiles each chain once."""
    rows, size = logits.shape
    wide = _bucket(size, 64)
    tall = next(t for t in (*((8, 32) if wide > 64 else (256,)), 4096, _bucket(rows, 1)) if t >= rows)
    z = np.full((tall, wide), -np.inf, np.float32)
    z[:rows, :size] = logits
    arrays = {n: _padded(np.asarray(v, np.float64), tall, rows) for n, v in given.items() if parameter(n).is_number}
    for n in given.keys() - arrays.keys():
        of_rows = given[n] if per_row else [given[n]] * rows
        if outside(of_rows, size).any():
            raise ValueError(f"{n} names an id outside the vocabulary of {size}")
        arrays[n] = np.zeros((tall, wide), np.float32 if parameter(n).kind == "bias" else bool)
        arrays[n][:rows, :size] = dense(of_rows, size)
    return z, arrays


def _tokens(history: list[np.ndarray], tall: int, size: int, room: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens so far and their number a row, with room for more."""
    # a text grows, and others are longer, while their chain is compiled for one length
    ids = np.zeros((tall, _bucket(max(len(ids) for ids in history) + room, 256)), np.int32)
    lengths = np.zeros(tall, np.int32)
    lengths[: len(history)] = [len(tokens) for tokens in history]
    every = np.concatenate(history)
    if len(every) and (every.min() < 0 or every.max() >= size):
        raise ValueError(f"history holds an id outside the vocabulary of {size}")
    ids[np.arange(ids.shape[1]) < lengths[:, None]] = every
    return ids, lengths


def _answer(out: Any, shape: tuple[int, int], seed: int | None, step: int) -> np.ndarray:
    """Return the logits, or the tokens of a step where there is a seed."""
    rows, size = shape
    if seed is None:
        return np.asarray(out)[:rows, :size]
    tokens = np.asarray(_compiled()[2](int(seed), step, out))[:rows]
    if (tokens < 0).any():
        raise ValueError(f"row {int(np.flatnonzero(tokens < 0)[0])} has nothing to draw from (NaN or everything masked)")
    return tokens


def _bucket(n: int, least: int) -> int:
    return max(least, 1 << (n - 1).bit_length())


def _padded(values: np.ndarray, tall: int, rows: int) -> np.ndarray:
    return np.concatenate([np.broadcast_to(values, (rows,)), np.repeat(np.broadcast_to(values, (rows,))[-1:], tall - rows)]).astype(
        np.float32
    )


@cache
def _compiled() -> tuple[Any, Any, Any]:
    """Return the functions that apply a chain, accept what it led to, and draw."""
    import jax

    from samplerfuzz.samplers import draw

    def apply(chain: Any, z: Any, state: Any) -> Any:
        out, _, infos = chain(z, state)
        return out, infos

    def drawn(seed: Any, step: Any, logits: Any) -> Any:
        return draw(jax.random.fold_in(jax.random.key(seed), step), logits)[0]

    return jax.jit(apply), jax.jit(lambda chain, *step: chain.accept(*step)), jax.jit(drawn)


def _declare_signature(call: Any, names: list[str]) -> None:
    """Give the function the signature that the contract reads parameter names from."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    call.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in ("logits", *names)])
