"""Penalties on tokens already seen: repetition (Keskar et al. 2019, with the sign fix), presence and frequency (OpenAI API).

Repetition: z > 0 ? z / r : z · r, once a distinct token (not shift invariant, by definition). Presence: z − a·1[c > 0].
Frequency: z − b·c. `penalty_last_n`: -1 all of the history, 0 none, n the last n tokens. Ids outside [0, V) are ignored.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from samplerfuzz.samplers.stage import LARGEST, Array, Stage, State


def repetition_penalty(repetition_penalty: Any, penalty_last_n: Any = -1) -> Stage:
    """Return the stage that divides seen positive logits by `repetition_penalty` > 0 and multiplies the others; 1 is off.

    >>> import jax.numpy as jnp
    >>> seen = State(history=jnp.array([[0, 1]]), lengths=jnp.array([2]))
    >>> repetition_penalty(2.0)(jnp.array([[1.0, -1.0, 3.0]]), seen)[0].tolist()
    [[0.5, -2.0, 3.0]]
    """
    return Stage(name="repetition_penalty", kernel=_repetition, parameters={"repetition_penalty": repetition_penalty, "penalty_last_n": penalty_last_n})


def presence_penalty(presence_penalty: Any, penalty_last_n: Any = -1) -> Stage:
    """Return the stage that subtracts `presence_penalty` from every seen token; 0 is off."""
    return Stage(name="presence_penalty", kernel=_presence, parameters={"presence_penalty": presence_penalty, "penalty_last_n": penalty_last_n})


def frequency_penalty(frequency_penalty: Any, penalty_last_n: Any = -1) -> Stage:
    """Return the stage that subtracts `frequency_penalty` times the count of each token; 0 is off."""
    return Stage(name="frequency_penalty", kernel=_frequency, parameters={"frequency_penalty": frequency_penalty, "penalty_last_n": penalty_last_n})


def counts(state: State, shape: tuple[int, int], last_n: Array) -> Array:
    """Return [B, V] float32: how often each token occurs in the last `last_n` [B, 1] of the history."""
    if state.history is None:
        return jnp.zeros(shape, jnp.float32)
    rows, size = shape
    length = jnp.full((rows, 1), state.history.shape[1], jnp.int32) if state.lengths is None else state.lengths.astype(jnp.int32)[:, None]
    position = jnp.arange(state.history.shape[1], dtype=jnp.int32)[None, :]
    window = jnp.where(last_n < 0, state.history.shape[1], jnp.minimum(last_n, state.history.shape[1])).astype(jnp.int32)
    inside = (position < length) & (position >= length - window) & (state.history >= 0) & (state.history < size)
    ids = jnp.where(inside, state.history, size)
    row = jnp.broadcast_to(jnp.arange(rows)[:, None], ids.shape)
    return jnp.zeros((rows, size + 1), jnp.float32).at[row, ids].add(1)[:, :size]


def _repetition(z: Array, state: State, *, repetition_penalty: Array, penalty_last_n: Array) -> tuple[Array, dict[str, Array]]:
    seen = counts(state, z.shape, penalty_last_n) > 0  # type: ignore[arg-type]
    changed = jnp.where(z > 0, z / repetition_penalty, z * repetition_penalty)
    return _unmasked(z, jnp.where(seen, changed, z)), {}


def _presence(z: Array, state: State, *, presence_penalty: Array, penalty_last_n: Array) -> tuple[Array, dict[str, Array]]:
    return _unmasked(z, z - jnp.where(counts(state, z.shape, penalty_last_n) > 0, presence_penalty, 0)), {}  # type: ignore[arg-type]


def _frequency(z: Array, state: State, *, frequency_penalty: Array, penalty_last_n: Array) -> tuple[Array, dict[str, Array]]:
    return _unmasked(z, z - frequency_penalty * counts(state, z.shape, penalty_last_n)), {}  # type: ignore[arg-type]


def _unmasked(z: Array, changed: Array) -> Array:
    """Keep an overflow finite: a penalised token becomes very unlikely, not masked."""
    return jnp.where(z > -jnp.inf, jnp.clip(changed, -LARGEST, LARGEST), -jnp.inf)
