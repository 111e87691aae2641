"""Prompts of different lengths as one right-padded batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.llama.config import LlamaConfig

SMALLEST_BUCKET = 16


def bucket(size: int) -> int:
    """Return the power of two, at least 16, that holds `size`: few shapes, few compilations.

    >>> [bucket(size) for size in (1, 16, 17, 100)]
    [16, 16, 32, 128]
    """
    return max(SMALLEST_BUCKET, 1 << (size - 1).bit_length())


def pad_prompts(prompts: Sequence[ArrayLike]) -> tuple[np.ndarray, np.ndarray]:
    """Return ids int32 `[B, T]`, padded on the right with 0, and lengths int32 `[B]`.

    Raises:
        ParameterError: no prompt, or one without tokens or not of integers.

    >>> pad_prompts([[5, 6, 7], [8]])[0].tolist()
    [[5, 6, 7], [8, 0, 0]]
    """
    rows = [np.asarray(prompt) for prompt in prompts]
    if not rows:
        raise ParameterError("prompts: expected at least one, found none")
    for index, row in enumerate(rows):
        if row.ndim != 1 or row.size == 0 or not np.issubdtype(row.dtype, np.integer):
            raise ParameterError(f"prompts[{index}]: expected a list of one or more token ids, found shape {row.shape} of {row.dtype}")
    ids = np.zeros((len(rows), max(row.size for row in rows)), np.int32)
    for index, row in enumerate(rows):
        ids[index, : row.size] = row
    return ids, np.array([row.size for row in rows], np.int32)


def checked_batch(config: LlamaConfig, token_ids: ArrayLike, lengths: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    """Return ids int32 `[B, bucket(T)]` and lengths int32 `[B]` after checking both; `lengths` None means that every row is full.

    Raises:
        ParameterError: wrong shape or type, a length outside [1, T], an id outside [0, V), more positions than the model has.
    """
    ids = np.asarray(token_ids)
    if ids.ndim != 2 or 0 in ids.shape or not np.issubdtype(ids.dtype, np.integer):
        raise ParameterError(f"token_ids: expected integers [B, T] with B, T >= 1, found shape {ids.shape} of {ids.dtype}")
    batch, width = ids.shape
    sizes = np.full(batch, width) if lengths is None else np.asarray(lengths)
    if sizes.shape != (batch,) or not np.issubdtype(sizes.dtype, np.integer):
        raise ParameterError(f"lengths: expected integers of shape ({batch},), found shape {sizes.shape} of {sizes.dtype}")
    if sizes.min() < 1 or sizes.max() > width:
        raise ParameterError(f"lengths: expected values in [1, {width}], found {sizes.tolist()}")
    if sizes.max() > config.max_position:
        raise ParameterError(f"lengths: the model has {config.max_position} positions, found {int(sizes.max())}")
    real = np.arange(width)[None, :] < sizes[:, None]
    wrong = real & ((ids < 0) | (ids >= config.vocab_size))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ParameterError(f"token_ids[{row}, {column}] = {ids[row, column]}: expected an id in [0, {config.vocab_size})")
    used = int(sizes.max())
    padded = np.zeros((batch, bucket(used)), np.int32)
    padded[:, :used] = np.where(real, ids, 0)[:, :used]
    return padded, sizes.astype(np.int32)
