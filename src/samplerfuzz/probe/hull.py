"""Whether some hidden state can make a token the most likely one: the tokens that can are the vertices of the hull of the output embeddings.

The logit of i is e_i·h. Some h makes it larger than every other logit exactly where e_i is a vertex of conv(E); the same h with the other
sign makes it the smallest. So a token that is printed at T → 0⁻ is a vertex, and one that lies within the hull can be neither arg-max nor arg-min,
whatever the model reads.

Gilbert's algorithm looks for the shortest x in conv{e_i − e_j : j ≠ i}. As soon as x·e_i > x·e_j for all j, x is a witness. Where it takes long, the
shortest x over the vectors met so far is solved for exactly, as non-negative least squares, and the worst others are added, until there is a
witness or x vanishes: then e_i is a convex combination of others, and for any h the logit of i exceeds the largest other one by ‖x‖‖h‖ at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

VERTEX, INTERIOR, OPEN = "vertex", "interior", "open"
_STEPS, _ROUNDS, _ADDED, _BATCH, _SOLVED = 64, 60, 32, 128, 16
_NOTHING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What is known of one token.

    Attributes:
      token: its id.
      kind: "vertex" (some hidden state makes it the most likely), "interior" (none does), "open" (neither was found).
      margin: for a vertex, by how much its witness of length 1 prefers it, in units of the logit's own scale; for an interior token, how little
        the best hidden state of length 1 could.
    """

    token: int
    kind: str
    margin: float


def certificates(rows: np.ndarray, ids: Sequence[int]) -> list[Certificate]:
    """Return a certificate for each of `ids`, given the output embeddings [V, E]. At most sixteen hard ones are solved; the rest stay open.

    >>> square = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0], [0.25, 0.5]])
    >>> [found.kind for found in certificates(square, [0, 3, 4])]
    ['vertex', 'vertex', 'interior']
    """
    exact = np.asarray(rows, np.float64)
    exact = exact - exact.mean(0)
    size = float(np.linalg.norm(exact, axis=1).max()) or 1.0
    exact = exact / size
    quick = exact.astype(np.float32)
    found: dict[int, Certificate] = {}
    for begin in range(0, len(ids), _BATCH):
        part = np.asarray(ids[begin : begin + _BATCH], np.int64)
        found.update(_witnesses(exact, quick, part))
    hard = [i for i in ids if i not in found][:_SOLVED]
    found.update((i, _solved(exact, i)) for i in hard)
    return [found.get(int(i), Certificate(token=int(i), kind=OPEN, margin=float("nan"))) for i in ids]


def _witnesses(exact: np.ndarray, quick: np.ndarray, ids: np.ndarray) -> dict[int, Certificate]:
    own = quick[ids]
    x = own - quick.mean(0)
    found: dict[int, Certificate] = {}
    for _ in range(_STEPS):
        scores = x @ quick.T
        scores[np.arange(len(ids)), ids] = -np.inf
        best = scores.argmax(1)
        for at in np.flatnonzero((x * (own - quick[best])).sum(1) > 0):
            margin = _margin(exact, int(ids[at]), x[at].astype(np.float64))
            if margin > 0:
                found[int(ids[at])] = Certificate(token=int(ids[at]), kind=VERTEX, margin=margin)
        left = np.array([i not in found for i in ids.tolist()], bool)
        if not left.any():
            break
        ids, own, x, best = ids[left], own[left], x[left], best[left]
        toward = own - quick[best]
        away = x - toward
        length = (away * away).sum(1)
        step = np.clip(np.divide((x * away).sum(1), length, out=np.zeros_like(length), where=length > 0), 0, 1)
        x = x - step[:, None] * away
    return found


def _solved(exact: np.ndarray, token: int) -> Certificate:
    own, others = exact[token], np.delete(np.arange(len(exact)), token)
    active = others[np.argsort(-(exact[others] @ own), kind="stable")[:_ADDED]]
    for _ in range(_ROUNDS):
        columns = (own - exact[active]).T
        weights, _ = nnls(np.vstack([columns, np.ones(len(active))]), np.append(np.zeros(len(own)), 1.0), maxiter=50 * columns.shape[1])
        total = weights.sum()
        x = columns @ (weights / total) if total > 0 else own - exact[active].mean(0)
        length = float(np.linalg.norm(x))
        if length <= _NOTHING:
            return Certificate(token=token, kind=INTERIOR, margin=length)
        margin = _margin(exact, token, x)
        if margin > 0:
            return Certificate(token=token, kind=VERTEX, margin=margin)
        worst = others[np.argsort(-(exact[others] @ x), kind="stable")[:_ADDED]]
        grown = np.union1d(active[weights > 0], worst)
        if len(np.setdiff1d(grown, active)) == 0:
            break
        active = grown
    return Certificate(token=token, kind=OPEN, margin=float("nan"))


def _margin(exact: np.ndarray, token: int, x: np.ndarray) -> float:
    """Return by how much the direction x prefers the token to the best other one, 0 where rounding could have made the difference."""
    length = float(np.linalg.norm(x))
    if length == 0:
        return 0.0
    scores = exact @ (x / length)
    own = scores[token]
    scores[token] = -np.inf
    margin = float(own - scores.max())
    return margin if margin > 4 * exact.shape[1] * np.finfo(np.float64).eps else 0.0
