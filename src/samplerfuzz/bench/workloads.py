"""What is timed: chains with their parameters, and the rows they are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

ROWS = (1, 64)
VOCABULARIES = (32000, 49152, 128256, 262144)
_HEAD = 3000


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One chain, ended by the draw of a token a row."""

    name: str
    order: tuple[str, ...]
    parameters: Mapping[str, float | tuple[float, ...]]  # a tuple gives row i its i-th value, again from the first where it ends

    @property
    def per_row(self) -> bool:
        """Whether rows differ in their parameters."""
        return any(isinstance(value, tuple) for value in self.parameters.values())

    def values(self, rows: int) -> dict[str, np.ndarray]:
        """Return every parameter for each row, float64 [B]."""
        return {name: np.resize(np.asarray(value, np.float64), rows) for name, value in self.parameters.items()}


WORKLOADS = {
    w.name: w
    for w in (
        Workload(
            name="T + top-k 50 + top-p 0.9",
            order=("temperature", "top_k", "top_p"),
            parameters={"temperature": 0.8, "top_k": 50, "top_p": 0.9},
        ),
        Workload(name="T + top-p 0.9", order=("temperature", "top_p"), parameters={"temperature": 0.8, "top_p": 0.9}),
        Workload(name="T + min-p 0.05", order=("temperature", "min_p"), parameters={"temperature": 0.8, "min_p": 0.05}),
        Workload(name="top-nσ 1", order=("top_n_sigma",), parameters={"top_n_sigma": 1.0}),
        Workload(
            name="a mix, row by row",
            order=("temperature", "top_k", "top_p", "min_p"),
            parameters={
                "temperature": (0.7, 1.0, 0.8, 1.2, 0.6),
                "top_k": (50, 20, 0, 40, 100, 50, 64),
                "top_p": (0.9, 0.95, 1.0, 0.8),
                "min_p": (0.0, 0.05, 0.02),
            },
        ),
    )
}
QUICK = tuple(WORKLOADS)[:2]

ABOUT_ROWS = (
    "Like those of a language model: a body of normal logits, deviation 2, and a head of up to 3000 tokens, most of them with low ids, that falls "
    "from 18 by g·ln(rank) with g log-normal (median 1.65, deviation 0.45 of its logarithm) and noise of 0.4. At T = 0.8 the nucleus of 0.9 holds 6 tokens "
    "in the median and some hundred in one row of six; on SmolLM2-135M reading prose and code it holds 6 in the median and over a hundred in one row of ten."
)


def language_like_logits(rows: int, vocabulary: int, seed: int) -> np.ndarray:
    """Return float32 logits [B, V] as ABOUT_ROWS says; row i is the same whatever B.

    Example:
      >>> one, two = language_like_logits(1, 1000, 7), language_like_logits(2, 1000, 7)
      >>> bool((one[0] == two[0]).all())
      True
    """
    logits = np.empty((rows, vocabulary), np.float32)
    for row in range(rows):
        rng = np.random.default_rng((seed, vocabulary, row))
        body = rng.standard_normal(vocabulary, np.float32) * np.float32(2)
        ids = rng.permutation(np.unique(np.exp(rng.uniform(0, np.log(vocabulary), 4 * _HEAD)).astype(np.int64) - 1))[:_HEAD]
        fall = np.exp(rng.normal(0.5, 0.45))
        head = 18 - fall * np.log(np.arange(1, len(ids) + 1)) + rng.normal(0, 0.4, len(ids))
        body[ids] = np.maximum(body[ids], head)
        logits[row] = body
    return logits
