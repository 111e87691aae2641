"""The correct pieces under every defect: validation, softmax, filters as masks, draws. NumPy float64.

Masks are boolean `[B, V]` and never hold a token whose logit is −inf; ties are broken by the lowest id.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def require(condition: object, message: str) -> None:
    """Raise ValueError(message) unless `condition`."""
    if not condition:
        raise ValueError(message)


def require_logits(logits: np.ndarray) -> None:
    """Refuse NaN, +inf and a row without a finite entry."""
    require(not np.isnan(logits).any() and not np.isposinf(logits).any(), "logits must not hold NaN or +inf")
    require(not np.isneginf(logits).all(-1).any(), "a row of logits has no finite entry")


def require_temperature(temperature: float | np.ndarray) -> None:
    """Refuse what is not a finite number ≥ 0."""
    require(
        np.isfinite(temperature).all() and np.all(np.asarray(temperature) >= 0), f"temperature must be finite and >= 0, got {temperature}"
    )


def require_top_p(top_p: float) -> None:
    """Refuse what is not in (0, 1]."""
    require(0 < top_p <= 1, f"top_p must be in (0, 1], got {top_p}")


def require_min_p(min_p: float) -> None:
    """Refuse what is not in [0, 1]."""
    require(0 <= min_p <= 1, f"min_p must be in [0, 1], got {min_p}")


def require_repetition_penalty(penalty: float) -> None:
    """Refuse what is not in [0.01, 100]."""
    require(0.01 <= penalty <= 100, f"repetition_penalty must be in [0.01, 100], got {penalty}")


def require_history(history: Sequence[np.ndarray], logits: np.ndarray) -> list[np.ndarray]:
    """Return one integer array a row; refuse another number of rows and ids outside the vocabulary."""
    rows = [np.asarray(ids, np.int64).reshape(-1) for ids in history]
    require(len(rows) == len(logits), f"{len(rows)} histories for {len(logits)} rows of logits")
    require(all(((ids >= 0) & (ids < logits.shape[-1])).all() for ids in rows), "a history id lies outside the vocabulary")
    return rows


def require_uniforms(u: np.ndarray) -> None:
    """Refuse what is not in [0, 1)."""
    require(np.all((np.asarray(u) >= 0) & (np.asarray(u) < 1)), f"u must be in [0, 1), got {u}")


def is_off(top_k: int, vocabulary: int) -> bool:
    """Whether top-k keeps everything; refuse what is not a whole number."""
    require(top_k == int(top_k), f"top_k must be a whole number, got {top_k}")
    return top_k <= 0 or top_k >= vocabulary


def scaled(logits: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """Return (z − m)/T in float64 for T ≠ 0 (scalar or `[B]`), m the largest of z/T; a mask stays a mask."""
    z = np.asarray(logits, np.float64)
    t = np.broadcast_to(np.asarray(temperature, np.float64), z.shape[:1])[:, None]
    allowed = np.isfinite(z)
    best = np.where(t > 0, np.where(allowed, z, -np.inf).max(-1, keepdims=True), np.where(allowed, z, np.inf).min(-1, keepdims=True))
    with np.errstate(over="ignore"):
        shifted = (np.where(allowed, z, best) - best) / t
    return np.where(allowed, np.maximum(shifted, -1e300), -np.inf)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities `[B, V]` in float64."""
    e = np.exp(scaled(logits, 1.0))
    return e / e.sum(-1, keepdims=True)


def one_hot(ids: np.ndarray, vocabulary: int) -> np.ndarray:
    """Return all the mass on one token a row."""
    return (np.arange(vocabulary) == np.asarray(ids)[:, None]).astype(np.float64)


def distribution(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return softmax(z/T), at T = 0 all the mass on the arg-max."""
    return one_hot(logits.argmax(-1), logits.shape[-1]) if temperature == 0 else softmax(scaled(logits, temperature))


def tempered(logits: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """Return z/T up to a shift for T a scalar or `[B]`, at T = 0 the arg-max alone; removed = −inf."""
    greedy = np.broadcast_to(np.asarray(temperature) == 0, logits.shape[:1])
    best = one_hot(logits.argmax(-1), logits.shape[-1]) > 0
    return masked(scaled(logits, np.where(greedy, 1.0, temperature)), best | ~greedy[:, None])


def descending(values: np.ndarray) -> np.ndarray:
    """Return the ids `[B, V]` from the largest value to the smallest, ties by the lowest id."""
    return np.argsort(-values, -1, kind="stable")


def keep_ranks(order: np.ndarray, keep_sorted: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Scatter a mask over ranks back to ids."""
    keep = np.zeros(order.shape, bool)
    np.put_along_axis(keep, order, keep_sorted, -1)
    return keep & ~np.isneginf(logits)


def mass_before(ranked: np.ndarray) -> np.ndarray:
    """Return the sum of the probabilities that stand before each of a row."""
    return np.concatenate([np.zeros((len(ranked), 1)), np.cumsum(ranked, -1)[:, :-1]], -1)


def keep_top_k(logits: np.ndarray, top_k: int) -> np.ndarray:
    """Keep the k largest; k ≤ 0 and k ≥ V keep everything."""
    vocabulary = logits.shape[-1]
    ranks = np.broadcast_to(np.arange(vocabulary), logits.shape)
    return keep_ranks(descending(logits), ranks < (vocabulary if is_off(top_k, vocabulary) else top_k), logits)


def keep_top_p(logits: np.ndarray, top_p: float) -> np.ndarray:
    """Keep the smallest prefix of the sorted probabilities whose mass reaches p, the crossing token included."""
    if top_p >= 1:
        return ~np.isneginf(logits)
    order = descending(logits)
    ranked = np.take_along_axis(softmax(logits), order, -1)
    return keep_ranks(order, mass_before(ranked) < top_p, logits)


def keep_min_p(logits: np.ndarray, min_p: float) -> np.ndarray:
    """Keep p ≥ a·p_max, measured as z − m ≥ ln a; a = 0 keeps everything."""
    floor = np.log(min_p) if min_p > 0 else -np.inf
    return (scaled(logits, 1.0) >= floor) & ~np.isneginf(logits)


def keep_xtc(logits: np.ndarray, threshold: float) -> np.ndarray:
    """Remove the tokens with p ≥ t but the least probable of them, where there are at least two."""
    order = descending(logits)
    p = np.take_along_axis(softmax(logits), order, -1)
    top = (p >= threshold) & (p > 0)
    least_probable = top.sum(-1, keepdims=True) - 1
    return keep_ranks(order, ~top | (np.arange(top.shape[-1]) >= least_probable), logits)


def masked(logits: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Return float64 logits with −inf outside `keep`."""
    return np.where(keep, np.asarray(logits, np.float64), -np.inf)


def penalise_repetition(row: np.ndarray, ids: np.ndarray, penalty: float) -> np.ndarray:
    """Return z/r for the seen tokens with z > 0 and z·r for the others, once per distinct token."""
    out = np.asarray(row, np.float64).copy()
    seen = np.unique(ids)
    out[seen] = np.where(out[seen] > 0, out[seen] / penalty, out[seen] * penalty)
    return out


def repetition_lengths(ids: np.ndarray, vocabulary: int) -> np.ndarray:
    """Return for each token `[V]` how many of the newest ids it would repeat: the longest end of `ids` that it already follows once."""
    lengths = np.zeros(vocabulary, np.int64)
    for follower in range(1, len(ids)):
        length = 0
        while length < follower and ids[follower - 1 - length] == ids[-1 - length]:
            length += 1
        lengths[ids[follower]] = max(lengths[ids[follower]], length)
    return lengths


def draw_by_inversion(p: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Draw from probabilities by inverse CDF in the order of the ids; where float sums fall short, the last token with mass."""
    cdf = np.cumsum(p, -1)
    found = (cdf <= np.asarray(u, np.float64)[:, None]).sum(-1)
    last = p.shape[-1] - 1 - (p[:, ::-1] > 0).argmax(-1)
    return np.minimum(found, last).astype(np.int32)


def generator(seed: int) -> np.random.Generator:
    """Return the stream of a seed."""
    return np.random.default_rng(int(seed) % 2**64)


def draw_by_gumbel(logits: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw one token a row by Gumbel-max; −inf is never drawn."""
    return (logits + generator.gumbel(size=logits.shape)).argmax(-1).astype(np.int32)
