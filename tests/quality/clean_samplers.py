"""Correct samplers in many legitimate styles: the fuzzer must accuse none of them.

They differ in what the contract leaves free: ties kept or broken, precision, sorting or thresholds, the way of drawing, what
T ≤ 0 means, whether nonsense is refused or NaN is passed on. They share no code on purpose, apart from the refusal of nonsense.
"""

import numpy as np

import samplerfuzz as sf


def require(condition, message):
    if not condition:
        raise ValueError(message)


def require_logits(z):
    require(not np.isnan(z).any() and not np.isposinf(z).any(), "logits must not hold NaN or +inf")
    require(not np.isneginf(z).all(-1).any(), "a row of logits has no finite entry")


@sf.target(order=["temperature", "top_p"], returns="logits")
def temperature_and_top_p_by_sorting(logits, temperature, top_p):
    """float64, ties broken by the lowest id, T = 0 greedy, infinite T refused."""
    require_logits(logits)
    require(np.isfinite(temperature) and temperature >= 0, "temperature")
    require(0 < top_p <= 1, "top_p")
    out = np.full(logits.shape, -np.inf)
    for row, kept in zip(logits.astype(np.float64), out):
        order = np.argsort(-row, kind="stable")[: np.isfinite(row).sum()]
        if temperature == 0:
            kept[order[0]] = 0
            continue
        with np.errstate(over="ignore"):
            z = (row[order] - row[order[0]]) / temperature
        p = np.exp(z)
        c = np.cumsum(p)
        n = len(order) if top_p == 1 else min(len(order), int(np.searchsorted(c, top_p * c[-1], side="left")) + 1)
        kept[order[:n]] = np.maximum(z[:n], -1e300)
    return out


@sf.target(order=["top_k"], returns="logits")
def top_k_by_threshold_keeps_ties(logits, top_k):
    """float32; every tie of the k-th stays; NaN rows come out as NaN; k ≤ 0 and k ≥ V are off."""
    require(not np.isposinf(logits).any() and not np.isneginf(logits).all(-1).any(), "logits")
    v = logits.shape[-1]
    k = int(top_k)
    out = logits.copy()
    if 0 < k < v:
        out[logits < np.partition(logits, v - k, -1)[:, v - k, None]] = -np.inf
    out[np.isnan(logits).any(-1)] = np.nan
    return out


def top_k_undecorated(logits, top_k):
    """Exactly k by a stable sort; off is a refusal, k ≥ V is not."""
    require_logits(logits)
    require(top_k >= 1, "top_k must be at least 1")
    removed = np.argsort(-logits, -1, kind="stable")[:, min(int(top_k), logits.shape[-1]) :]
    out = logits.copy()
    np.put_along_axis(out, removed, -np.inf, -1)
    return out


@sf.target(order=["top_p"], returns="logits")
def top_p_from_the_small_end(logits, top_p):
    """float32, ascending running mass, what lies at or below 1 − p goes, the largest always stays; p ≥ 1 is off."""
    require_logits(logits)
    require(top_p > 0, "top_p")
    if top_p >= 1:
        return logits
    with np.errstate(over="ignore"):
        e = np.exp(logits - logits.max(-1, keepdims=True))
    order = np.argsort(logits, -1, kind="stable")
    c = np.cumsum(np.take_along_axis(e / e.sum(-1, keepdims=True), order, -1), -1, dtype=np.float32)
    gone = c <= np.float32(1 - top_p) * c[:, -1:]
    gone[:, -1] = False
    out = logits.copy()
    np.put_along_axis(out, order, np.where(gone, -np.inf, np.take_along_axis(logits, order, -1)), -1)
    return out


@sf.target(order=["top_p"], returns="logits")
def top_p_by_bisection(logits, top_p):
    """No sort: the largest threshold whose upper set has mass p or more, found over the distinct values; all ties stay."""
    require_logits(logits)
    require(0 < top_p <= 1, "top_p")
    out = np.full_like(logits, -np.inf)
    for row, kept in zip(logits, out):
        values = np.unique(row[np.isfinite(row)])
        e = np.where(np.isfinite(row), np.exp(row.astype(np.float64) - values[-1].astype(np.float64)), 0.0)
        low, high = 0, len(values)
        while high - low > 1 and top_p < 1:
            middle = (low + high) // 2
            if e[row >= values[middle]].sum() >= top_p * e.sum():
                low = middle
            else:
                high = middle
        kept[row >= values[low]] = row[row >= values[low]]
    return out


@sf.target(order=["top_p"], returns="logits", dtype="float16")
def top_p_in_half_precision(logits, top_p):
    """Probabilities in float16, mass in float32; the mass *before* a token decides, so the largest always stays."""
    require_logits(logits)
    require(0 < top_p <= 1, "top_p")
    if top_p == 1:
        return logits
    with np.errstate(over="ignore"):
        gap = (logits - logits.max(-1, keepdims=True)).astype(np.float16)
    e = np.exp(gap.astype(np.float32))
    p = (e / e.sum(-1, keepdims=True)).astype(np.float16)
    order = np.argsort(-logits, -1, kind="stable")
    c = np.cumsum(np.take_along_axis(p, order, -1), -1, dtype=np.float32)
    before = np.concatenate([np.zeros_like(c[:, :1]), c[:, :-1]], -1)
    keep = np.empty(logits.shape, bool)
    np.put_along_axis(keep, order, before.astype(np.float64) < top_p, -1)
    return np.where(keep, logits, np.float32(-np.inf))


@sf.target(order=["temperature", "top_k"], returns="tokens")
def inverse_cdf_in_id_order(logits, temperature, top_k, u):
    """The first id whose running mass exceeds u; the last id with mass is the guard."""
    require_logits(logits)
    require(np.isfinite(temperature) and temperature >= 0, "temperature")
    v = logits.shape[-1]
    k = int(top_k) if 0 < top_k < v else v
    out = np.empty(len(logits), np.int64)
    for i, row in enumerate(logits.astype(np.float64)):
        best = np.argsort(-row, kind="stable")[:k]
        if temperature == 0:
            out[i] = best[0]
            continue
        p = np.zeros(v)
        with np.errstate(over="ignore"):
            p[best] = np.exp((row[best] - row[best[0]]) / temperature) * np.isfinite(row[best])
        c = np.cumsum(p)
        out[i] = min(int(np.searchsorted(c, u[i] * c[-1], side="right")), np.flatnonzero(p)[-1])
    return out


@sf.target(order=["temperature", "min_p"], returns="tokens", zero_temperature="reject")
def inverse_cdf_from_the_most_probable(logits, temperature, min_p, u):
    """The running mass is taken from the most probable token down; T ≤ 0 refused."""
    require_logits(logits)
    require(np.isfinite(temperature) and temperature > 0, "temperature")
    require(0 <= min_p <= 1, "min_p")
    out = []
    for row, x in zip(logits.astype(np.float64), u):
        order = np.argsort(-row, kind="stable")[: np.isfinite(row).sum()]
        with np.errstate(over="ignore"):
            p = np.exp((row[order] - row[order[0]]) / temperature)
        p = p[(p >= min_p) & (p > 0)]
        c = np.cumsum(p)
        out.append(order[min(int((c <= x * c[-1]).sum()), len(p) - 1)])
    return np.array(out, np.int32)


@sf.target(order=["temperature"], returns="tokens", zero_temperature="reject")
def alias_method(logits, temperature, u):
    """Walker's alias table with Vose's construction: one uniform gives the column and the coin."""
    require_logits(logits)
    require(np.isfinite(temperature) and temperature > 0, "temperature")
    out = np.empty(len(logits), np.int32)
    for i, row in enumerate(logits.astype(np.float64)):
        with np.errstate(over="ignore"):
            e = np.where(np.isfinite(row), np.exp((np.where(np.isfinite(row), row, row.max()) - row.max()) / temperature), 0)
        ids = np.flatnonzero(e)
        weight = (e[ids] / e.sum() * len(ids)).tolist()
        share, alias = [1.0] * len(ids), list(range(len(ids)))
        small, large = [j for j in alias if weight[j] < 1], [j for j in alias if weight[j] >= 1]
        while small and large:
            s, g = small.pop(), large[-1]
            share[s], alias[s] = weight[s], g
            weight[g] -= 1 - weight[s]
            if weight[g] < 1:
                small.append(large.pop())
        column = min(int(u[i] * len(ids)), len(ids) - 1)
        out[i] = ids[column if u[i] * len(ids) - column < share[column] else alias[column]]
    return out


@sf.target(order=["temperature"], returns="tokens", negative_temperature="greedy")
def gumbel_max(logits, temperature, seed):
    """float64 noise; T ≤ 0 is greedy."""
    require_logits(logits)
    require(np.isfinite(temperature), "temperature")
    z = logits.astype(np.float64)
    if temperature <= 0:
        return z.argmax(-1)
    noise = np.random.default_rng(int(seed) & (2**64 - 1)).gumbel(size=z.shape)
    with np.errstate(over="ignore"):
        gap = np.maximum((z - z.max(-1, keepdims=True)) / temperature, -1e300)
    return np.where(np.isneginf(z), -np.inf, gap + noise).argmax(-1)


@sf.target(order=["temperature"], returns="tokens", zero_temperature="reject")
def rejection_draw(logits, temperature, seed):
    """A uniform proposal is accepted with probability p/p_max; after many refusals the rest is drawn by inverse CDF."""
    require_logits(logits)
    require(np.isfinite(temperature) and temperature > 0, "temperature")
    rng = np.random.default_rng([int(seed) & (2**64 - 1), 7])
    out = []
    for row in logits.astype(np.float64):
        allowed = np.flatnonzero(np.isfinite(row))
        with np.errstate(over="ignore"):
            e = np.exp((row[allowed] - row[allowed].max()) / temperature)
        proposals = rng.integers(len(allowed), size=16)
        accepted = np.flatnonzero(rng.random(16) < e[proposals])
        out.append(allowed[proposals[accepted[0]]] if len(accepted) else rng.choice(allowed, p=e / e.sum()))
    return np.array(out)


@sf.target(order=["temperature", "top_k"], returns="tokens", per_row=True)
def seeded_rows(logits, temperature, top_k, seed):
    """Each row has its own seed, temperature and k; greedy rows stand among the others."""
    require_logits(logits)
    require(np.isfinite(temperature).all() and (np.asarray(temperature) >= 0).all(), "temperature")
    out = np.empty(len(logits), np.int32)
    for i, z in enumerate(logits.astype(np.float64)):
        k = int(top_k[i]) if 0 < top_k[i] < len(z) else len(z)
        best = np.lexsort((np.arange(len(z)), -z))[:k]
        out[i] = best[0]
        if temperature[i] > 0:
            race = np.random.default_rng(int(seed[i]) & (2**64 - 1)).exponential(size=len(z))
            with np.errstate(over="ignore"):
                score = np.maximum((z[best] - z[best[0]]) / temperature[i], -1e300) - np.log(race[best])
            out[i] = best[np.where(np.isfinite(z[best]), score, -np.inf).argmax()]
    return out


@sf.target(order=["temperature", "top_k"], returns="probs", negative_temperature="invert")
def inverted_below_zero(logits, temperature, top_k):
    """T < 0 favours the least likely of the allowed tokens; ±∞ is uniform over them; a mask stays a mask."""
    require_logits(logits)
    require(not np.isnan(temperature), "temperature")
    out = np.zeros(logits.shape)
    for row, p in zip(logits.astype(np.float64), out):
        ids = np.flatnonzero(np.isfinite(row))
        z = row[ids]
        k = int(top_k) if 0 < top_k < len(ids) else len(ids)
        if temperature == 0:
            p[ids[z.argmax()]] = 1
            continue
        gap = np.abs(z - (z.max() if temperature > 0 else z.min()))
        with np.errstate(over="ignore"):
            e = np.exp(-gap / abs(temperature))
        e[np.argsort(gap, kind="stable")[k:]] = 0
        p[ids] = e / e.sum()
    return out


@sf.target(order=["repetition_penalty", "frequency_penalty", "presence_penalty"], returns="logits")
def three_penalties(logits, history, repetition_penalty, frequency_penalty, presence_penalty):
    """Counts by bincount; the multiplicative penalty by the sign of the logit; float64 so that nothing overflows."""
    require_logits(logits)
    require(1e-9 <= repetition_penalty <= 1e9, "repetition_penalty")
    require(abs(frequency_penalty) <= 1e9 and abs(presence_penalty) <= 1e9, "additive penalties")
    require(len(history) == len(logits), "one history a row")
    out = logits.astype(np.float64)
    for row, ids in zip(out, history):
        ids = np.asarray(ids, np.int64)
        require(ids.size == 0 or (ids.min() >= 0 and ids.max() < len(row)), "history")
        count = np.bincount(ids, minlength=len(row))
        seen = count > 0
        row[:] = np.where(seen, np.where(row > 0, row / repetition_penalty, row * repetition_penalty), row)
        row -= frequency_penalty * count + presence_penalty * seen
    return out


@sf.target(order=["min_p"], returns="logits")
def min_p_in_logits(logits, min_p):
    """float32, z − m ≥ ln a without any exponential; NaN rows come out as NaN, a ≤ 0 is off, a > 1 refused."""
    require(not np.isposinf(logits).any() and not np.isneginf(logits).all(-1).any(), "logits")
    require(min_p <= 1, "min_p")
    with np.errstate(over="ignore"):
        gap = logits - logits.max(-1, keepdims=True)
    floor = np.float32(np.log(min_p)) if min_p > 0 else -np.inf
    return np.where(np.isnan(gap), np.float32(np.nan), np.where(gap >= floor, logits, np.float32(-np.inf)))


@sf.target(order=["typical_p"], returns="logits")
def typical_in_single_precision(logits, typical_p):
    """Surprisals in float32; the smallest prefix by distance from the entropy whose mass reaches τ; τ ≥ 1 is off."""
    require_logits(logits)
    require(typical_p > 0, "typical_p")
    if typical_p >= 1:
        return logits
    with np.errstate(over="ignore", divide="ignore"):
        gap = logits - logits.max(-1, keepdims=True)
        e = np.exp(gap)
        surprisal = np.log(e.sum(-1, keepdims=True)) - gap
    p = e / e.sum(-1, keepdims=True)
    entropy = np.where(p > 0, p * np.where(p > 0, surprisal, 0), 0).sum(-1, keepdims=True)
    order = np.argsort(np.abs(surprisal - entropy), -1, kind="stable")
    c = np.cumsum(np.take_along_axis(p, order, -1).astype(np.float64), -1)
    keep = np.empty(logits.shape, bool)
    np.put_along_axis(keep, order, np.concatenate([np.zeros((len(c), 1)), c[:, :-1]], -1) < typical_p, -1)
    return np.where(keep, logits, np.float32(-np.inf))


def _near_the_maximum(logits, n, spread):
    out = logits.astype(np.float64)
    for row in out:
        gap = row[np.isfinite(row)] - row.max()
        with np.errstate(over="ignore"):
            limit = -n * spread(gap)
        if n > 0:
            row[row - row.max() < limit] = -np.inf
    return out


@sf.target(order=["top_n_sigma"], returns="logits")
def top_n_sigma_with_bessel(logits, top_n_sigma):
    """σ with N − 1, over the allowed tokens; a single allowed token has σ = 0; n ≤ 0 is off."""
    require_logits(logits)
    require(np.isfinite(top_n_sigma), "top_n_sigma")
    return _near_the_maximum(logits, top_n_sigma, lambda gap: gap.std(ddof=1) if len(gap) > 1 else 0.0)


@sf.target(order=["top_n_sigma"], returns="logits")
def top_n_sigma_of_the_population(logits, top_n_sigma):
    """σ with N, over the allowed tokens; n ≤ 0 is off."""
    require_logits(logits)
    require(np.isfinite(top_n_sigma), "top_n_sigma")
    return _near_the_maximum(logits, top_n_sigma, np.std)
