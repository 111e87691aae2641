"""The tokens so far of each row, and the last of them: what the penalties and DRY look at."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.samplers.stage import State


def tokens_so_far(state: State | None, rows: int, name: str) -> State:
    """Return the state, checked.

    Raises:
      ParameterError: no history, or one of other rows than the logits.
    """
    if state is None:
        raise ParameterError(f"{name} reads the tokens so far; pass state=State(history [B, T], lengths [B])")
    if state.history.ndim != 2 or state.history.shape[0] != rows or state.lengths.shape != (rows,):
        raise ParameterError(
            f"the history has shape {state.history.shape}, its lengths {state.lengths.shape}; expected [{rows}, T] and [{rows}]"
        )
    return state


def window_of(state: State, last_n: jax.Array) -> jax.Array:
    """Return which places of the history are among the newest `last_n` [B, 1] tokens (negative: all of them), bool [B, T]."""
    lengths = state.lengths[:, None]
    position = jnp.arange(state.history.shape[1], dtype=jnp.int32)[None]
    # lengths − position ≥ 1 inside a row, so nothing overflows however large the window
    return (position < lengths) & ((last_n < 0) | (lengths - position <= last_n))
