"""Sampling parameters as leaves: one number for all rows or one a row, never a constant of the compiled program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from samplerfuzz.core.errors import ParameterError

_INT32 = np.iinfo(np.int32)
_SMALLEST = np.array(1, np.uint32).view(np.float32)  # the bits of 2⁻¹⁴⁹: finfo warns where subnormals are flushed


def real(name: str, value: ArrayLike) -> Any:
    """Return `value` as float32, scalar or [B]; a nonzero float64 that float32 would round to 0 keeps its sign and is not 0.

    Raises:
      ParameterError: more than one dimension, or not a number.
    """
    if isinstance(value, jax.Array):
        return _checked(name, value).astype(jnp.float32)
    exact = _checked(name, _numbers(name, value)).astype(np.float64)
    with np.errstate(over="ignore", under="ignore"):
        single = exact.astype(np.float32)
    return np.where((exact != 0) & (single == 0), np.copysign(_SMALLEST, exact), single).astype(np.float32)


def integer(name: str, value: ArrayLike) -> Any:
    """Return `value` as int32, scalar or [B]; what int32 cannot hold becomes its nearest end. Floats stay float32 so that NaN shows.

    Raises:
      ParameterError: more than one dimension, or not a number.
    """
    if isinstance(value, jax.Array):
        _checked(name, value)
        return value.astype(jnp.float32 if jnp.issubdtype(value.dtype, jnp.floating) else jnp.int32)
    exact = _checked(name, _numbers(name, value))
    return exact.astype(np.float32) if exact.dtype.kind == "f" else np.clip(exact, _INT32.min, _INT32.max).astype(np.int32)


def whole(column: jax.Array) -> jax.Array:
    """Return an integer parameter [B, 1] as int32, cut toward zero; NaN, which is refused elsewhere, becomes 0."""
    if not jnp.issubdtype(column.dtype, jnp.floating):
        return column
    inside = jnp.clip(jnp.nan_to_num(column, nan=0.0), -(2.0**31), 2.0**31 - 128)
    return inside.astype(jnp.int32)


def column(name: str, value: Any, rows: int) -> jax.Array:
    """Return a scalar or [B] parameter as [B, 1].

    Raises:
      ParameterError: as many values as there are rows, or one, were expected.
    """
    array = jnp.asarray(value)
    if array.ndim and array.shape != (rows,):
        raise ParameterError(f"{name} has shape {tuple(array.shape)}; expected one number, or [{rows}]: one for each row of the logits")
    return jnp.broadcast_to(array[..., None], (rows, 1))


def _numbers(name: str, value: ArrayLike) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" and not np.issubdtype(array.dtype, np.number):
        raise ParameterError(f"{name} = {value!r} is not a number; expected a real number, or one for each row")
    return array


def _checked(name: str, array: Any) -> Any:
    if array.ndim > 1:
        raise ParameterError(f"{name} has shape {tuple(array.shape)}; expected one number, or [B]: one for each row of the logits")
    return array


def token_mask(rows: Sequence[Iterable[int]], vocabulary: int) -> np.ndarray:
    """Return which tokens each row names, bool [B, V], from token ids.

    Raises:
      ParameterError: an id outside the vocabulary.

    Example:
      >>> token_mask([[2], []], 3)
      array([[False, False,  True],
             [False, False, False]])
    """
    mask = np.zeros((len(rows), vocabulary), bool)
    for row, ids in enumerate(rows):
        for token in ids:
            if not 0 <= token < vocabulary:
                raise ParameterError(f"token {token} of row {row} is outside the vocabulary; expected 0 ≤ id < {vocabulary}")
            mask[row, token] = True
    return mask
