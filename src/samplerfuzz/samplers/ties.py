"""Tokens that tie at a cut: all of them stay, or as many as fit, those with the lowest or the highest ids first."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.samplers.mass import Weights, mass_before, total
from samplerfuzz.samplers.wide import Wide, add, at_least

TIES = ("all", "low", "high")


def option(name: str, value: str, known: tuple[str, ...]) -> str:
    """Return `value`.

    Raises:
      ParameterError: it is not one of the known ones.
    """
    if value not in known:
        raise ParameterError(f"{name}={value!r}: expected one of {', '.join(map(repr, known))}")
    return value


def first_of(tied: jax.Array, room: jax.Array, ties: str) -> jax.Array:
    """Return the `room` [B, 1] first of the `tied` tokens [B, V], bool; "low" counts from the lowest id, "high" from the highest."""
    rank = jnp.cumsum(_from_first(tied, ties), axis=-1, dtype=jnp.int32)
    return tied & (_from_first(rank, ties) <= room)


def until(tied: jax.Array, above: jax.Array, w: Weights, wanted: Wide, ties: str) -> jax.Array:
    """Return those of the `tied` tokens [B, V] before which, `above` [B, V] counted, the weights do not reach `wanted` [B] yet, bool."""
    first = Weights(high=_from_first(w.high, ties), low=_from_first(w.low, ties), exponent=w.exponent).where(_from_first(tied, ties))
    before = add(mass_before(first), _column(total(w.where(above))))
    reached = at_least(before, _column(wanted))
    return tied & ~_from_first(reached, ties)


def _from_first(x: jax.Array, ties: str) -> jax.Array:
    return x if ties == "low" else jnp.flip(x, axis=-1)


def _column(a: Wide) -> Wide:
    return Wide(a.high[:, None], a.low[:, None])
