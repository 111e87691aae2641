"""More correct samplers, aimed at rounding edges."""

import numpy as np

import samplerfuzz as sf


def require(c, m):
    if not c:
        raise ValueError(m)


def require_logits(z):
    require(not np.isnan(z).any() and not np.isposinf(z).any(), "NaN or +inf")
    require(not np.isneginf(z).all(-1).any(), "empty row")


@sf.target(order=["temperature", "min_p"], returns="logits", zero_temperature="reject")
def min_p_on_float32_probabilities(logits, temperature, min_p):
    """p >= min_p * p_max on float32 probabilities, subnormals included."""
    require_logits(logits)
    require(1e-3 <= temperature <= 1e3 and 0 <= min_p <= 1, "domain")
    with np.errstate(all="ignore"):
        s = np.maximum((logits - logits.max(-1, keepdims=True)) / np.float32(temperature), np.float32(-3e38))
        s = np.where(np.isneginf(logits), np.float32(-np.inf), s)
        e = np.exp(s)
    p = e / e.sum(-1, keepdims=True)
    return np.where(p >= np.float32(min_p) * p.max(-1, keepdims=True), s, np.float32(-np.inf))


@sf.target(order=["xtc"], returns="logits", dtype="float16")
def xtc_in_half_precision(logits, xtc_threshold):
    """XTC on float16 probabilities."""
    require_logits(logits)
    require(0 <= xtc_threshold <= 1, "xtc")
    out = logits.astype(np.float64)
    with np.errstate(all="ignore"):
        e = np.exp((logits - logits.max(-1, keepdims=True)).astype(np.float16).astype(np.float32))
        p = (e / e.sum(-1, keepdims=True)).astype(np.float16)
    for r, q in zip(out, p):
        above = np.flatnonzero((q >= np.float16(xtc_threshold)) & (q > 0))
        if len(above) > 1 and xtc_threshold <= 0.5:
            r[np.setdiff1d(above, [above[np.argmin(q[above])]])] = -np.inf
    return out


@sf.target(order=["typical_p"], returns="logits", dtype="bfloat16")
def typical_bfloat16(logits, typical_p):
    """Surprisals and entropy rounded to bfloat16; mass in float32."""
    import ml_dtypes

    require_logits(logits)
    require(0 < typical_p <= 1, "typical_p")
    if typical_p == 1:
        return logits

    def bf(x):
        return x.astype(ml_dtypes.bfloat16).astype(np.float32)

    with np.errstate(all="ignore"):
        g = bf(bf(logits) - bf(logits).max(-1, keepdims=True))
        e = np.exp(g)
        p = bf(e / e.sum(-1, keepdims=True))
        s = bf(np.log(e.sum(-1, keepdims=True)) - g)
        h = bf(np.where(p > 0, p * np.where(p > 0, s, 0), 0).sum(-1, keepdims=True))
        d = bf(np.abs(s - h))
    d = np.where(np.isneginf(logits), np.inf, d)
    o = np.argsort(d, -1, kind="stable")
    c = np.cumsum(np.take_along_axis(p, o, -1), -1)
    gone = np.concatenate([np.zeros((len(c), 1)), c[:, :-1]], -1) >= typical_p
    g2 = np.empty_like(gone)
    np.put_along_axis(g2, o, gone, -1)
    return np.where(g2, np.float32(-np.inf), logits)


@sf.target(order=["temperature", "top_p", "top_k", "min_p"], returns="probs", per_row=True)
def mlx_like_order(logits, temperature, top_p, top_k, min_p):
    """T, p, k, min-p, each on float32 renormalised probabilities; ties at the p cut kept."""
    require_logits(logits)
    t, tp, mp = np.asarray(temperature, float), np.asarray(top_p, float), np.asarray(min_p, float)
    require(((t == 0) | ((t >= 1e-3) & (t <= 1e3))).all() and ((tp > 0) & (tp <= 1)).all() and ((mp >= 0) & (mp <= 1)).all(), "domain")
    out = np.zeros(logits.shape, np.float32)
    for r, z in enumerate(logits):
        if t[r] == 0:
            out[r, z.argmax()] = 1
            continue
        with np.errstate(all="ignore"):
            e = np.exp(((z - z.max()) / np.float32(t[r])).astype(np.float32))
        p = e / e.sum()
        if tp[r] < 1:
            o = np.sort(p)[::-1]
            n = int((np.cumsum(o) < np.float32(tp[r])).sum())
            p = np.where(p >= o[min(n, len(o) - 1)], p, 0)
            p = p / p.sum()
        k = int(top_k[r])
        if 0 < k < len(p):
            p[np.argsort(-p, kind="stable")[k:]] = 0
            p = p / p.sum()
        p = np.where(p >= np.float32(mp[r]) * p.max(), p, 0)
        out[r] = p / p.sum()
    return out


@sf.target(order=["repetition_penalty", "temperature", "top_p"], returns="tokens", per_row=True)
def float32_seed_rows(logits, history, repetition_penalty, temperature, top_p, seed):
    """float32 with legacy RandomState(seed) inverse CDF."""
    require_logits(logits)
    t, rp, tp = np.asarray(temperature), np.asarray(repetition_penalty), np.asarray(top_p)
    require(((t == 0) | ((t >= 1e-3) & (t <= 1e3))).all() and ((rp >= 1e-2) & (rp <= 1e2)).all() and ((tp > 0) & (tp <= 1)).all(), "domain")
    out = []
    for r, z in enumerate(logits.copy()):
        ids = np.unique(np.asarray(history[r], int))
        require(ids.size == 0 or (ids[0] >= 0 and ids[-1] < len(z)), "history")
        z[ids] = np.where(z[ids] > 0, z[ids] / np.float32(rp[r]), z[ids] * np.float32(rp[r]))
        if t[r] == 0:
            out.append(int(z.argmax()))
            continue
        with np.errstate(all="ignore"):
            e = np.exp((z - z.max()) / np.float32(t[r]))
        p = e / e.sum()
        o = np.argsort(-p, kind="stable")
        q = p[o].astype(np.float64)
        n = len(q) if tp[r] == 1 else int((np.cumsum(q) < tp[r]).sum()) + 1
        q, o = q[:n], o[:n]
        q, o = q[q > 0], o[: (q > 0).sum()]
        x = np.random.RandomState(int(seed[r]) & 0xFFFFFFFF).random_sample()
        c = np.cumsum(q)
        out.append(int(o[min(int(np.searchsorted(c, x * c[-1], "right")), len(o) - 1)]))
    return np.array(out)
