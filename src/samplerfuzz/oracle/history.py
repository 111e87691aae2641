"""The tokens so far of each row, and how often each was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class History:
    """Tokens of R rows.

    Attributes:
      ids: R integer arrays, oldest token first; ids outside the vocabulary are not counted.
      prompt_length: [R] how many of them belong to the prompt; 0 where the target cannot tell.
    """

    ids: tuple[np.ndarray, ...]
    prompt_length: np.ndarray

    @classmethod
    def none(cls, rows: int) -> History:
        """Return empty histories."""
        return cls(ids=(np.zeros(0, np.int64),) * rows, prompt_length=np.zeros(rows, np.int64))

    @classmethod
    def of(cls, ids: Sequence[Sequence[int] | np.ndarray]) -> History:
        """Return histories without a known prompt."""
        return cls(ids=tuple(np.asarray(row, np.int64) for row in ids), prompt_length=np.zeros(len(ids), np.int64))

    def counts(self, vocabulary: int, *, last_n: np.ndarray | None = None, tokens: str = "all") -> np.ndarray:
        """Return [R, V] how often each id stands in the window.

        Args:
          last_n: [R] tokens of the window; negative or None: all, 0: none.
          tokens: "all", or "output": the prompt does not count (the window is taken before the prompt is left out).
        """
        lengths = np.array([len(ids) for ids in self.ids], np.int64)
        window = lengths if last_n is None else np.where(np.asarray(last_n) < 0, lengths, np.minimum(last_n, lengths)).astype(np.int64)
        begin = lengths - window
        if tokens == "output":
            begin = np.maximum(begin, self.prompt_length)
        row = np.repeat(np.arange(len(lengths)), lengths)
        token = np.concatenate([np.zeros(0, np.int64), *self.ids])
        place = np.arange(len(token)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        counted = (place >= begin[row]) & (token >= 0) & (token < vocabulary)
        places = row[counted] * vocabulary + token[counted].astype(np.int64)
        counts = np.bincount(places, minlength=len(lengths) * vocabulary).reshape(len(lengths), vocabulary).astype(np.float64)
        return counts
