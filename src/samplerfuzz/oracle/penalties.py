"""Penalties on tokens already seen: repetition (Keskar et al. 2019, with the sign fix), presence and frequency (OpenAI API).

Repetition: z > 0 ? z / r : z · r, once a distinct token. Presence: z − a·1[c > 0]. Frequency: z − b·c.
Seen: in the window of the last `penalty_last_n` tokens, the prompt counted or not. Neutral: r = 1, a = 0, b = 0. Ids outside the vocabulary are ignored in the only clean reading.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, conventions
from samplerfuzz.oracle.history import History

TOKENS = Convention(name="tokens", values=("all", "output"), matters=lambda at: bool((at.history.prompt_length > 0).any()))


@conventions(TOKENS)
def repetition_penalty(
    belief: Belief, *, repetition_penalty: np.ndarray, history: History, tokens: str, penalty_last_n: np.ndarray | None = None
) -> Belief:
    """Divide seen positive logits by `repetition_penalty` [R], multiply the others."""
    counts = history.counts(belief.z.shape[-1], last_n=penalty_last_n, tokens=tokens)
    r = repetition_penalty[:, None]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        changed = np.where(belief.z > 0, belief.z / r, belief.z * r)
        error = np.where(belief.z > 0, belief.error / np.abs(r), belief.error * np.abs(r))
    return moved(
        belief,
        np.where(counts > 0, changed, belief.z),
        np.where(counts > 0, error, belief.error),
        (repetition_penalty != 1)[:, None] & (counts > 0),
    )


@conventions(TOKENS)
def presence_penalty(
    belief: Belief, *, presence_penalty: np.ndarray, history: History, tokens: str, penalty_last_n: np.ndarray | None = None
) -> Belief:
    """Subtract `presence_penalty` [R] from every seen token."""
    counts = history.counts(belief.z.shape[-1], last_n=penalty_last_n, tokens=tokens)
    return shift(belief, -presence_penalty[:, None] * (counts > 0))


@conventions(TOKENS)
def frequency_penalty(
    belief: Belief, *, frequency_penalty: np.ndarray, history: History, tokens: str, penalty_last_n: np.ndarray | None = None
) -> Belief:
    """Subtract `frequency_penalty` [R] times the count."""
    counts = history.counts(belief.z.shape[-1], last_n=penalty_last_n, tokens=tokens)
    return shift(belief, -frequency_penalty[:, None] * counts)


def shift(belief: Belief, addend: np.ndarray) -> Belief:
    """Add `addend` [R, V] to the logits."""
    extra = 2 * belief.arithmetic.unit * np.abs(addend)
    return moved(belief, np.where(belief.possible, belief.z, 0) + addend, belief.error + extra, addend != 0)


def moved(belief: Belief, z: np.ndarray, error: np.ndarray, touched: np.ndarray) -> Belief:
    """Return the belief with new logits where `touched` [R, V], the rounding of the change included."""
    z = np.where(belief.possible, z, -np.inf)
    old = np.abs(np.where(belief.possible, belief.z, 0))
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.abs(np.where(belief.possible, z, 0)) + old
        error = error + np.where(touched, 4 * belief.arithmetic.unit * size, 0)
        # a value beyond the largest finite number has lost its place
        lost = touched & (np.abs(np.where(belief.possible, z, 0)) > belief.arithmetic.largest / 4)
    return belief.replaced(z=z, error=np.where(belief.possible, np.where(lost, np.inf, error), 0.0))
