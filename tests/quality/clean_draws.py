"""Correct drawing samplers."""

import hashlib
import math

import numpy as np
from scipy import special

import samplerfuzz as sf


def require(c, m):
    if not c:
        raise ValueError(m)


def require_logits(z):
    require(not np.isnan(z).any() and not np.isposinf(z).any(), "NaN or +inf")
    require(not np.isneginf(z).all(-1).any(), "empty row")


def scaled(row, t):
    with np.errstate(all="ignore"):
        return np.where(np.isneginf(row), -np.inf, np.maximum((row - row.max()) / t, -1e300))


@sf.target(order=["repetition_penalty", "presence_penalty", "temperature", "top_k", "typical_p", "min_p", "xtc"], returns="tokens")
def six_stages_inverse_cdf(logits, history, repetition_penalty, presence_penalty, temperature, top_k, typical_p, min_p, xtc_threshold, u):
    """penalties, temperature, top-k, typical, min-p, XTC (always), inverse CDF over the sorted order."""
    require_logits(logits)
    require(1e-2 <= repetition_penalty <= 1e2 and abs(presence_penalty) <= 1e3, "penalty")
    require(temperature == 0 or 1e-3 <= temperature <= 1e3, "temperature")
    require(0 < typical_p <= 1 and 0 <= min_p <= 1 and 0 <= xtc_threshold <= 1, "filters")
    out = []
    for row, ids, x in zip(logits.astype(np.float64), history, u):
        ids = np.unique(np.asarray(ids, int))
        require(ids.size == 0 or (ids[0] >= 0 and ids[-1] < len(row)), "history")
        z = row.copy()
        z[ids] = np.where(z[ids] > 0, z[ids] / repetition_penalty, z[ids] * repetition_penalty) - presence_penalty
        if temperature == 0:
            out.append(int(z.argmax()))
            continue
        z = scaled(z, temperature)
        v = len(z)
        o = np.argsort(-z, kind="stable")
        if 0 < top_k < v:
            z[o[top_k:]] = -np.inf
        if typical_p < 1:
            lp = special.log_softmax(z)
            p = np.exp(lp)
            d = np.where(p > 0, np.abs(-lp - special.entr(p).sum()), np.inf)
            od = np.argsort(d, kind="stable")
            c = np.cumsum(p[od])
            n = int((c < typical_p).sum()) + 1
            z[od[n:]] = -np.inf
        p = special.softmax(z)
        z[p < min_p * p.max()] = -np.inf
        p = special.softmax(z)
        above = np.flatnonzero((p >= xtc_threshold) & (p > 0))
        if len(above) > 1 and xtc_threshold <= 0.5:
            z[np.setdiff1d(above, [above[np.argmin(p[above])]])] = -np.inf
        p = special.softmax(z)
        o = np.argsort(-p, kind="stable")
        o = o[p[o] > 0]
        c = np.cumsum(p[o])
        out.append(int(o[min(int(np.searchsorted(c, x * c[-1], side="right")), len(o) - 1)]))
    return np.array(out)


@sf.target(
    order=["presence_penalty", "top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "temperature"],
    returns="tokens",
    per_row=True,
    dialect="llama.cpp",
)
def llama_cpp_order_per_row(logits, history, presence_penalty, top_n_sigma, top_k, typical_p, top_p, min_p, temperature, seed):
    """llama.cpp's order, float32, T last, T <= 0 refused but 0; Generator.choice in float64."""
    require_logits(logits)
    out = []
    for i, row in enumerate(logits):
        z = row.astype(np.float64).copy()
        ids = np.unique(np.asarray(history[i], int))
        require(ids.size == 0 or (ids[0] >= 0 and ids[-1] < len(z)), "history")
        require(abs(presence_penalty[i]) <= 1e3, "presence")
        z[ids] -= presence_penalty[i]
        n, t = float(top_n_sigma[i]), float(temperature[i])
        require(math.isfinite(n) and (t == 0 or 1e-3 <= t <= 1e3), "n, t")
        require(0 < typical_p[i] <= 1 and 0 < top_p[i] <= 1 and 0 <= min_p[i] <= 1, "filters")
        if n > 0:
            g = z - z.max()
            f = g[np.isfinite(g)]
            z[g < -n * f.std()] = -np.inf
        o = np.argsort(-z, kind="stable")
        k = int(top_k[i])
        if 0 < k < len(z):
            z[o[k:]] = -np.inf
        if typical_p[i] < 1:
            lp = special.log_softmax(z)
            p = np.exp(lp)
            d = np.where(p > 0, np.abs(-lp - special.entr(p).sum()), np.inf)
            od = np.argsort(d, kind="stable")
            m = int((np.cumsum(p[od]) <= typical_p[i]).sum()) + 1
            z[od[m:]] = -np.inf
        if top_p[i] < 1:
            p = special.softmax(z)
            o = np.argsort(-p, kind="stable")
            m = int((np.cumsum(p[o]) < top_p[i]).sum()) + 1
            z[o[m:]] = -np.inf
        if min_p[i] > 0:
            z[z < z.max() + math.log(min_p[i])] = -np.inf
        if t == 0:
            out.append(int(z.argmax()))
            continue
        p = special.softmax(scaled(z, t))
        out.append(int(np.random.Generator(np.random.Philox(int(seed[i]))).choice(len(p), p=p / p.sum())))
    return np.array(out, np.int32)


@sf.target(order=["temperature", "top_p"], returns="tokens")
def float32_cdf_sorted(logits, temperature, top_p, u):
    """float32 probabilities and CDF, most probable first, last positive as guard; u scaled by the total."""
    require_logits(logits)
    require(temperature == 0 or 1e-3 <= temperature <= 1e3, "temperature")
    require(0 < top_p <= 1, "top_p")
    if temperature == 0:
        return logits.argmax(-1)
    with np.errstate(all="ignore"):
        e = np.exp((logits - logits.max(-1, keepdims=True)) / np.float32(temperature))
    p = e / e.sum(-1, keepdims=True)
    o = np.argsort(-p, -1, kind="stable")
    q = np.take_along_axis(p, o, -1)
    c = np.cumsum(q, -1, dtype=np.float32)
    if top_p < 1:
        q = np.where(c - q < np.float32(top_p), q, 0)
        q[:, 0] = np.maximum(q[:, 0], 1e-9)
    c = np.cumsum(q, -1, dtype=np.float32)
    x = (u * c[:, -1]).astype(np.float64)
    i = np.minimum((c.astype(np.float64) <= x[:, None]).sum(-1), (q > 0).sum(-1) - 1)
    return np.take_along_axis(o, i[:, None], -1)[:, 0]


@sf.target(order=["temperature", "min_p"], returns="tokens", negative_temperature="greedy")
def gumbel_from_hashed_u(logits, temperature, min_p, u):
    """u is the key of a hash that makes one Gumbel a token. T <= 0 greedy."""
    require_logits(logits)
    require(not math.isnan(temperature), "temperature")
    require(0 <= min_p <= 1, "min_p")
    if temperature <= 0:
        return logits.argmax(-1)
    require(1e-3 <= temperature <= 1e3, "temperature")
    out = []
    for row, x in zip(logits.astype(np.float64), u):
        key = int.from_bytes(hashlib.blake2b(np.float64(x).tobytes(), digest_size=8).digest(), "little")
        z = scaled(row, temperature)
        if min_p > 0:
            z = np.where(z >= z.max() + math.log(min_p), z, -np.inf)
        out.append(int((z + np.random.default_rng(key).gumbel(size=len(z))).argmax()))
    return np.array(out)


@sf.target(order=["temperature", "top_k"], returns="tokens", negative_temperature="invert")
def inverted_draw(logits, temperature, top_k, u):
    """T<0 inverts before top_k (so the k least likely stay); inverse CDF in id order."""
    require_logits(logits)
    require(np.isfinite(temperature), "temperature")
    out = []
    for row, x in zip(logits.astype(np.float64), u):
        ids = np.flatnonzero(np.isfinite(row))
        z = row[ids]
        if temperature == 0:
            out.append(int(ids[z.argmax()]))
            continue
        with np.errstate(all="ignore"):
            s = np.maximum((z - (z.max() if temperature > 0 else z.min())) / temperature, -1e300)
        s = s - s.max()
        if 0 < top_k < len(s):
            s[np.argsort(-s, kind="stable")[top_k:]] = -np.inf
        c = np.cumsum(np.exp(s))
        out.append(int(ids[min(int(np.searchsorted(c, x * c[-1], "right")), np.flatnonzero(np.exp(s) > 0)[-1])]))
    return np.array(out)


_RNG = np.random.default_rng()


@sf.target(order=["temperature"], returns="tokens")
def global_generator(logits, temperature):
    """No seed: a generator of the module. multinomial of one. T=0 greedy, inf refused."""
    require_logits(logits)
    require(np.isfinite(temperature) and temperature >= 0, "temperature")
    if temperature == 0:
        return logits.argmax(-1)
    return np.array([int(_RNG.multinomial(1, special.softmax(scaled(row, temperature))).argmax()) for row in logits.astype(np.float64)])


@sf.target(order=["temperature", "top_k", "top_p"], returns="tokens", per_row=True, zero_temperature="reject")
def seeded_rows_with_one_generator_each(logits, temperature, top_k, top_p, seed):
    """per-row seeds, exponential race in float64 over the kept set; T <= 0 refused for the whole batch."""
    require_logits(logits)
    t, p = np.asarray(temperature), np.asarray(top_p)
    require(np.isfinite(t).all() and (t >= 1e-3).all(), "temperature")
    require(((p > 0) & (p <= 1)).all(), "top_p")
    out = np.empty(len(logits), np.uint32)
    for r in range(len(logits)):
        s = scaled(logits[r].astype(np.float64), t[r])
        o = np.argsort(-s, kind="stable")
        k = top_k[r] if top_k[r] > 0 else len(s)
        o = o[:k]
        w = special.softmax(s[o])
        n = len(w) if p[r] == 1 else int(np.searchsorted(np.cumsum(w), p[r])) + 1
        o, w = o[:n], w[:n]
        out[r] = o[(np.random.default_rng(int(seed[r])).exponential(size=len(w)) / np.maximum(w, 1e-320)).argmin()]
    return out


def greedy_only(logits):
    """No parameter at all: arg-max. There is no stage to declare. What does the fuzzer say?"""
    require_logits(logits)
    return logits.argmax(-1)


@sf.target(order=["xtc", "temperature"], returns="tokens")
def one_coin_a_call(logits, xtc_threshold, xtc_probability, temperature, seed):
    """XTC with one coin for all rows, which have their parameters in common; exponential races."""
    require_logits(logits)
    require(0 <= xtc_threshold <= 1 and 0 <= xtc_probability <= 1, "xtc")
    require(1e-3 <= temperature <= 1e3, "temperature")
    random = np.random.default_rng(seed)
    fires = random.random() < xtc_probability
    out = []
    for row in logits.astype(np.float64):
        p = special.softmax(row)
        above = np.flatnonzero((p >= xtc_threshold) & (p > 0))
        if fires and len(above) > 1 and xtc_threshold <= 0.5:
            row = row.copy()
            row[np.delete(above, p[above].argmin())] = -np.inf
        out.append(int((scaled(row, temperature) - np.log(random.exponential(size=len(row)))).argmax()))
    return np.array(out)
