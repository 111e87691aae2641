"""Mirostat: a bound μ on the surprise of a token, moved so that the mean surprise is τ (Basu et al., arXiv 2007.14966).

Version 2: keep −log2 p_i <= μ, the maximum always. Version 1: keep the k largest, k = (ε·2^μ/(1 − N^−ε))^(1/s), ε = s − 1, s = Σ t_i
b_i / Σ t_i² with t_i = ln((i+1)/i), b_i = ln(p_i/p_{i+1}) over the largest probabilities. μ starts at 2τ; after a token μ ← μ − η(S −
τ), S = −log2 p of it, in bits. `mirostat` = 0 is off; a target that has no such parameter is of version 2.

Engines differ: S from p before the cut (the authors) or renormalised after it (llama.cpp, text-generation-webui, exllamav2); k cut to a
whole number (llama.cpp) or rounded and one more (the authors' code); N counts the allowed tokens or the whole vocabulary; s from the 99
pairs of the 100 largest (the paper, llama.cpp) or from all. Whole numbers overflow where a row is flat: k is then everything, not one
token.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import Convention, Occasion, conventions
from samplerfuzz.oracle.memory import Memory, Span, remembering
from samplerfuzz.oracle.top_k import top_k


def _has_version_one(at: Occasion) -> bool:
    return bool((at.parameters.get("mirostat", np.zeros(1)) == 1).any())


def remember(
    before: Belief,
    after: Belief,
    tokens: np.ndarray,
    *,
    mirostat_tau: np.ndarray,
    memory: Memory,
    surprise: str,
    mirostat_eta: np.ndarray | None = None,
    **_: object,
) -> Memory:
    """Return μ after `tokens` [R] were taken."""
    eta = 0.1 if mirostat_eta is None else mirostat_eta
    low, high = _surprise(before if surprise == "original" else after)
    at = tokens[:, None].astype(np.int64)
    least, most = (np.take_along_axis(bound, at, -1)[:, 0] for bound in (low, high))
    known = np.isfinite(most)
    bound = memory.get("mu") or Span.exact(2 * mirostat_tau)
    moved = bound - Span(np.where(known, least, 0.0), np.where(known, most, 0.0)).shifted(-mirostat_tau).scaled(
        np.broadcast_to(eta, least.shape)
    )
    unit = before.arithmetic.unit
    return {"mu": moved.widened(np.where(known, 8 * unit * (np.abs(moved.low) + eta * (most + mirostat_tau)), np.inf))}


@remembering(remember)
@conventions(
    Convention(name="surprise", values=("original", "kept")),
    Convention(name="rank", values=("cut", "rounded"), matters=_has_version_one),
    Convention(name="population", values=("allowed", "vocabulary"), matters=_has_version_one),
    Convention(name="pairs", values=("hundred", "all"), matters=_has_version_one),
)
def mirostat(
    belief: Belief,
    *,
    mirostat_tau: np.ndarray,
    memory: Memory,
    surprise: str,
    rank: str,
    population: str,
    pairs: str,
    mirostat_eta: np.ndarray | None = None,
    mirostat: np.ndarray | None = None,
) -> Belief:
    """Cut at the bound that `mirostat_tau` [R] and the tokens so far give."""
    version = np.full(len(mirostat_tau), 2.0) if mirostat is None else mirostat
    bound = memory.get("mu") or Span.exact(2 * mirostat_tau)
    cut = _bounded(belief, bound)
    if (version == 1).any():
        cut = _ranked(belief, bound, rank=rank, whole_vocabulary=population == "vocabulary", pairs=99 if pairs == "hundred" else belief.z.shape[-1]).where(
            version == 1, cut
        )  # fmt: skip
    return cut.where(version != 0, belief)


def _surprise(belief: Belief) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds [R, V] of −log2 p; +inf where a token cannot be."""
    bottom, ceiling = belief.probabilities()
    band = 2 * belief.arithmetic.mass_band(belief.z.shape[-1])
    with np.errstate(divide="ignore"):
        low, high = -np.log2(np.minimum(ceiling, 1.0)), -np.log2(np.where(belief.possible, bottom, 0.0))
        slack = band + 8 * belief.arithmetic.unit * (1 + np.where(np.isfinite(high), high, 0.0))
    return np.maximum(low - slack, 0.0), high + slack


def _bounded(belief: Belief, bound: Span) -> Belief:
    """Keep what surprises by at most `bound`; the maximum always."""
    low, high = _surprise(belief)
    first_surely, first_possibly = _first(belief)
    kept = (high <= bound.low[:, None]) | first_surely
    removed = (low > bound.high[:, None]) & ~first_possibly
    # a probability that the arithmetic takes for zero surprises without bound
    sunk = high > -np.log2(belief.arithmetic.underflow)
    return belief.narrowed(kept=kept & (~sunk | first_surely), removed=removed, least=1)


def _first(belief: Belief) -> tuple[np.ndarray, np.ndarray]:
    """Return which tokens [R, V] are surely and which are possibly the largest."""
    low, high = belief.bounds()
    floor = np.where(belief.must, low, -np.inf).max(-1, keepdims=True)
    possibly = belief.possible & (high >= floor)
    return possibly & (possibly.sum(-1, keepdims=True) == 1), possibly


def _ranked(belief: Belief, bound: Span, *, rank: str, whole_vocabulary: bool, pairs: int) -> Belief:
    """Keep as many of the largest as the Zipf law of the row needs for the bound."""
    least, most = _ranks(belief, bound, whole_vocabulary=whole_vocabulary, pairs=pairs)
    if rank == "rounded":
        least, most = np.floor(least + 0.5 - 1e-6) + 1, np.floor(most + 0.5 + 1e-6) + 1
    size = belief.z.shape[-1]
    few = top_k(belief, top_k=np.clip(np.floor(least), 1, size), ties="any")
    many = top_k(belief, top_k=np.clip(np.floor(most), 1, size), ties="any")
    return belief.narrowed(kept=few.must, removed=~many.possible, least=few.least)


def _ranks(belief: Belief, bound: Span, *, whole_vocabulary: bool, pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds [R] of the real number k."""
    unit = belief.arithmetic.unit
    inside = belief.possible
    z = -np.sort(-np.where(inside, belief.z, -np.inf), -1)
    count = inside.sum(-1)
    n = np.full(len(z), z.shape[-1]) if whole_vocabulary else count
    used = min(pairs, z.shape[-1] - 1)
    place = np.arange(1, used + 1, dtype=np.float64)
    t = np.log((place + 1) / place)
    both = place[None] < count[:, None]
    gap = np.where(both, np.where(both, z[:, :used], 0) - np.where(both, z[:, 1 : used + 1], 0), 0.0)
    depth = np.where(both, z[:, :1] - np.where(both, z[:, 1 : used + 1], 0), 0.0)
    wobble = np.where(inside, np.minimum(belief.error, 1e300), 0).max(-1, keepdims=True)
    norm = np.maximum((both * t**2).sum(-1), 1e-300)
    s = (t * gap).sum(-1) / norm
    slack = (np.where(both, t * (2 * wobble + 16 * unit * (1 + depth)), 0).sum(-1)) / norm + 64 * unit * s
    lost = belief.may.any(-1) | ~np.isfinite(slack) | (np.where(both, depth, 0).max(-1, initial=0) > -np.log(belief.arithmetic.underflow))
    candidates = [_log_k(np.maximum(s + d * slack, 0.0), n, mu) for d in (-1, -0.5, 0, 0.5, 1) for mu in (bound.low, bound.high)]
    least, most = np.min(candidates, axis=0), np.max(candidates, axis=0)
    epsilon = np.maximum(np.abs(s - 1), 1e-300)
    cancelled = 16 * unit * (1 + s) / epsilon
    blur = (cancelled + 64 * unit * (1 + np.abs(bound.high))) / np.maximum(s, 1e-9) + 1e-5
    lost |= (cancelled > 0.25) | ~np.isfinite(bound.low) | ~np.isfinite(bound.high)
    with np.errstate(over="ignore"):
        return np.where(lost, 1.0, np.exp(np.maximum(least - blur, 0))), np.where(lost, np.inf, np.exp(np.minimum(most + blur, 1e3)))


def _log_k(s: np.ndarray, n: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """Return ln k for exponents s [R] >= 0, n [R] tokens and bounds mu [R] in bits."""
    log_n = np.log(np.maximum(n, 2))
    x = (s - 1) * log_n
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        factor = np.where(np.abs(x) < 1e-8, 1.0, x / -np.expm1(-x)) / log_n
        # the factor of a very flat row under a huge N underflows
        log_factor = np.where(factor > 0, np.log(np.maximum(factor, 1e-300)), x)
        return np.clip((log_factor + mu * np.log(2)) / np.maximum(s, 1e-12), -1e300, 1e300)
