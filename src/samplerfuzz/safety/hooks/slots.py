"""Requests in slots: a server that keeps the ids of all of them in one table, and moves none. No server is imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np


class SlotTokens(Sequence[int]):
    """The output ids of the request in a slot, read where the server keeps them, so that a token is known as soon as it is written.

    Args:
      tokens: ids [slots, T], the prompt's first.
      lengths: how many of them each slot has [slots].
      slot: which one.
      start: length of the prompt.
    """

    def __init__(self, tokens: Any, lengths: Any, slot: int, start: int) -> None:
        self._tokens, self._lengths, self._slot, self._start = tokens, lengths, slot, start

    def __len__(self) -> int:
        """Return how many ids were put out so far."""
        return max(0, int(self._lengths[self._slot]) - self._start)

    @overload
    def __getitem__(self, position: int) -> int: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[int]: ...
    def __getitem__(self, position: int | slice) -> int | Sequence[int]:
        """Return the id at a position of the output."""
        if isinstance(position, slice):
            return [self[p] for p in range(*position.indices(len(self)))]
        if not 0 <= position < len(self):
            raise IndexError(position)
        return int(self._tokens[self._slot, self._start + position])


def emitting_rows(slots: np.ndarray, offsets: np.ndarray, positions: np.ndarray, lengths: np.ndarray) -> dict[int, int]:
    """Map each slot to the row of logits that its next token is drawn from.

    A row in the middle of a prompt, which is computed piece by piece, emits nothing. Of the rows of a request that guesses ahead only the first is taken: whether the others
    count is known later.

    Args:
      slots: of each row [B].
      offsets: of each row among those of its request [B].
      positions: in the sequence, of the token that each row was computed from [B].
      lengths: of the sequence in each slot [slots].

    >>> emitting_rows(np.array([2, 0, 0]), np.array([0, 0, 1]), np.array([4, 6, 7]), np.array([7, 0, 9]))
    {0: 1}
    """
    emits = (offsets == 0) & (positions + 1 == lengths[slots])
    return {int(slots[row]): int(row) for row in np.flatnonzero(emits)}
