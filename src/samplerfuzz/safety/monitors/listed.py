"""The law of a token of which only a list of log-probabilities is told, exactly: given that the token is one of a set, its law is the set's own, made to add up to one.

That holds at every temperature, p^(1/T) over the set, and for every set that does not depend on the token drawn among it: all that is not listed adds one factor of 1 to
the evidence. Where the told law is the one drawn from, what is left of the probability is the category of all other tokens, and the coarser law is exact as well; but of those
some may be drawn and never told (the end of a text, half a character). So a bet counts that category only where that pays for it to be drawn, and then a token that is
missing takes evidence away and never adds any; the other bets are made within the set. Which of the two it is the law says, before the token is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samplerfuzz.safety.monitors.surprisal import BETS, bets
from samplerfuzz.safety.step import FACTORS, FIELDS, FLOOR, TILTS, index

_NOISE = 1e-6  # float32: by how much a told probability is off besides
_WORTH = 1e-3  # a rest whose relative error is larger is not known


@dataclass(frozen=True, kw_only=True)
class ListedSteps:
    """Some positions: a set of tokens each, and which of them was drawn.

    Attributes:
      logits: float64 [T, M], ln p / T of the tokens of the set up to a constant; −inf: no token.
      drawn: int [T], column of the token drawn; −1: one outside the set.
      rest: float64 [T], probability of all tokens outside the set; NaN: not known. Where it is known, exp(logits) are probabilities.
      slack: float64 [T], by how many nats a logit may be off.
    """

    logits: np.ndarray
    drawn: np.ndarray
    rest: np.ndarray
    slack: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the monitors take of some positions.

    Attributes:
      logs: ln of the factors of the bets, float64 [T', D]: positions that tell nothing are left out.
      vectors: of the positions whose token is of the set, [T'', F] in the order of `step.FIELDS`; `slack`: of those.
    """

    logs: np.ndarray
    vectors: np.ndarray
    slack: np.ndarray


def evidence(steps: ListedSteps) -> Evidence:
    """Return what some positions are to the monitors.

    >>> two = ListedSteps(logits=np.log([[0.5, 0.25]]), drawn=np.array([-1]), rest=np.array([np.nan]), slack=np.zeros(1))
    >>> evidence(two).logs.shape, evidence(two).vectors.shape
    ((0, 9), (0, 30))
    """
    inside = np.flatnonzero(steps.drawn >= 0)
    vectors = vectors_of(steps.logits[inside], steps.drawn[inside])
    logs = np.zeros((len(steps.drawn), len(BETS)))
    logs[inside] = bets(vectors, steps.slack[inside])
    known = _with_rest(steps, logs)
    return Evidence(logs=logs[known | (steps.drawn >= 0)], vectors=vectors, slack=steps.slack[inside])


def _with_rest(steps: ListedSteps, logs: np.ndarray) -> np.ndarray:
    """Put in what the bets make of the rest, and return where it is known, bool [T]."""
    # a told probability is off by its own share of the slack, and what is left by all of them together
    off = (steps.slack + _NOISE) / np.where(steps.rest > 0, steps.rest, np.nan)
    known = off < _WORTH
    places = np.flatnonzero(known)
    if not places.size:
        return known
    logits = np.concatenate([steps.logits[places], np.log(steps.rest[places, None])], -1)
    last = np.full(len(places), logits.shape[1] - 1)
    slack = steps.slack[places] + off[places]
    of_rest = bets(vectors_of(logits, last), slack)
    of_drawn = bets(vectors_of(logits, np.where(steps.drawn[places] >= 0, steps.drawn[places], last)), slack)
    # a colder law takes from the rest what, as one token, it would give it: such bets are made within the set
    logs[places] = np.where((of_rest >= 0) & (BETS > 0), of_drawn, logs[places])
    return known


def vectors_of(logits: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return the vectors of some steps, float64 [T, F] in the order of `step.FIELDS`: what the monitors read, NaN elsewhere.

    Args:
      logits: [T, M], −inf: no token; each row has one that is finite.
      drawn: [T], columns.
    """
    found = np.full((len(logits), len(FIELDS)), np.nan)
    if not len(logits):
        return found
    is_there = logits > -np.inf
    s = np.where(is_there, np.maximum(logits - logits.max(-1, keepdims=True), FLOOR), -np.inf)
    weight = np.exp(s)
    total = weight.sum(-1)
    finite = np.where(is_there, s, 0.0)
    mean = (weight * finite).sum(-1) / total
    away = np.where(is_there, mean[:, None] - finite, 0.0)
    own = np.take_along_axis(finite, drawn[:, None], -1)[:, 0]
    numbers = {
        "entropy": np.log(total) - mean,
        "varentropy": (weight * away**2).sum(-1) / total,
        "kept": is_there.sum(-1),
        "surprisal": np.log(total) - own,
        "excess": mean - own,
    }
    for factor, tilt in zip(FACTORS, TILTS, strict=True):
        tilted = np.exp((1 - tilt) * s)
        numbers[f"psi[{factor:.3g}]"] = np.log(tilted.sum(-1)) - np.log(total) + tilt * mean
        numbers[f"slope[{factor:.3g}]"] = (tilted * away).sum(-1) / tilted.sum(-1)
    for name, values in numbers.items():
        found[:, index(name)] = values
    return found
