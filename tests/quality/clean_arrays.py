"""Correct samplers: single filters in unusual styles."""

import functools
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


@sf.target(order=["temperature", "top_p"], returns="probs")
def ascending_float32_top_p(logits, temperature, top_p):
    """transformers' rule: ascending float32 cumulative sum, drop <= 1-p, keep at least one; renormalised in float32."""
    require_logits(logits)
    require(np.isfinite(temperature) and temperature >= 1e-3, "temperature")
    require(0 < top_p <= 1, "top_p")
    with np.errstate(all="ignore"):
        z = np.maximum(((logits - logits.max(-1, keepdims=True)) / np.float32(temperature)), np.float32(-3e38)) + np.where(
            np.isneginf(logits), -np.inf, 0
        ).astype(np.float32)
    p = special.softmax(z, axis=-1).astype(np.float32)
    order = np.argsort(p, -1)
    q = np.take_along_axis(p, order, -1)
    gone = np.cumsum(q, -1, dtype=np.float32) <= np.float32(1 - top_p)
    gone[:, -1] = False
    q = np.where(gone, 0, q)
    np.put_along_axis(p, order, q, -1)
    return p / p.sum(-1, keepdims=True, dtype=np.float32)


@sf.target(order=["top_p"], returns="logits")
def searchsorted_top_p(logits, top_p):
    """float32 cumulative mass, np.searchsorted, at least one; p >= 1 off; p <= 0 keeps one."""
    require_logits(logits)
    require(not math.isnan(top_p), "top_p")
    out = np.full_like(logits, -np.inf)
    for r, z in enumerate(logits):
        p = special.softmax(z.astype(np.float32))
        o = np.argsort(p)[::-1]
        n = len(p) if top_p >= 1 else int(np.searchsorted(np.cumsum(p[o]), np.float32(top_p))) + 1
        out[r, o[: max(1, n)]] = z[o[: max(1, n)]]
    return out


@sf.target(order=["typical_p"], returns="logits")
def scipy_typical(logits, typical_p):
    """scipy log_softmax and entr in float64; the crossing token stays."""
    require_logits(logits)
    require(0 < typical_p <= 1, "typical_p")
    lp = special.log_softmax(logits.astype(np.float64), axis=-1)
    p = np.exp(lp)
    h = special.entr(p).sum(-1, keepdims=True)
    d = np.abs(-lp - h)
    o = np.argsort(d, -1, kind="stable")
    c = np.cumsum(np.take_along_axis(p, o, -1), -1)
    last = np.minimum((c < typical_p).sum(-1), logits.shape[1] - 1)
    gone_sorted = np.arange(logits.shape[1])[None] > last[:, None]
    gone = np.empty_like(gone_sorted)
    np.put_along_axis(gone, o, gone_sorted, -1)
    if typical_p == 1:
        gone[:] = False
    return np.where(gone, -np.inf, logits)


@sf.target(order=["temperature"], returns="logits")
def logsumexp_log_probabilities(logits, temperature):
    """Returns log-probabilities, normalised by scipy logsumexp; T=0 greedy with log-probability 0; inf T uniform."""
    require_logits(logits)
    require(temperature >= 0, "temperature")
    z = logits.astype(np.float64)
    if temperature == 0:
        out = np.full(z.shape, -np.inf)
        out[np.arange(len(z)), z.argmax(-1)] = 0.0
        return out
    with np.errstate(all="ignore"):
        s = np.where(np.isneginf(z), -np.inf, np.maximum((z - z.max(-1, keepdims=True)) / temperature, -1e300))
    return s - special.logsumexp(s, axis=-1, keepdims=True)


@sf.target(order=["top_k", "top_p"], returns="probs")
def python_lists(logits, top_k, top_p):
    """Pure Python floats and lists, returned as a list of lists."""
    require_logits(logits)
    require(0 < top_p <= 1, "top_p")
    answer = []
    for row in logits.tolist():
        v = len(row)
        k = top_k if 0 < top_k < v else v
        ids = sorted(range(v), key=lambda i: (-row[i], i))[:k]
        e = [math.exp(row[i] - row[ids[0]]) for i in ids]
        total = math.fsum(e)
        kept, mass = [], 0.0
        for i, w in zip(ids, e):
            if kept and mass >= top_p and top_p < 1:
                break
            kept.append((i, w))
            mass += w / total
        s = math.fsum(w for _, w in kept)
        out = [0.0] * v
        for i, w in kept:
            out[i] = w / s
        answer.append(out)
    return answer


@sf.target(order=["top_k"], returns="logits")
def finite_mask(logits, top_k):
    """Removed tokens get the lowest finite float32 instead of -inf (a common style: torch.finfo.min). Is that fair? Removed is -inf
    by the contract, but a softmax gives them exactly 0 except on rows whose kept logits are as low."""
    require_logits(logits)
    v = logits.shape[1]
    k = top_k if 0 < top_k < v else v
    o = np.argsort(-logits, -1, kind="stable")[:, k:]
    out = logits.copy()
    np.put_along_axis(out, o, np.finfo(np.float32).min, -1)
    return out


def plain_with_defaults(logits, *, top_k=50, min_p=0.05, verbose=False, **kwargs):
    """Undecorated, keyword-only with defaults and **kwargs; top_k then min_p."""
    require_logits(logits)
    require(0 <= min_p <= 1, "min_p")
    require(not kwargs, "unknown options")
    out = logits.astype(np.float64)
    v = out.shape[1]
    if 0 < top_k < v:
        out[out < np.sort(out, -1)[:, v - top_k, None]] = -np.inf
    p = special.softmax(out, -1)
    out[p < min_p * p.max(-1, keepdims=True)] = -np.inf
    return out


def float_top_k(logits, top_k: float = 50.0):
    """top_k as a float; 0 and less off. Undecorated."""
    require_logits(logits)
    v = logits.shape[1]
    k = float(top_k)
    require(k == int(k), "top_k")
    rank = np.argsort(np.argsort(-logits, -1, kind="stable"), -1, kind="stable")
    return np.where((rank < k) | (k <= 0) | (k >= v), logits, -np.inf)


@sf.target(
    order=["temperature", "min_p"], returns="logits", zero_temperature="reject", domain={"temperature": (0.05, 1.5), "min_p": (0.0, 0.5)}
)
def narrow_domain(logits, temperature, min_p):
    """Declares a narrower domain and refuses all else."""
    require_logits(logits)
    require(0.05 <= temperature <= 1.5, "temperature")
    require(0 <= min_p <= 0.5, "min_p")
    z = logits.astype(np.float64) / temperature
    return np.where(z >= z.max(-1, keepdims=True) + (math.log(min_p) if min_p > 0 else -np.inf), z, -np.inf)


class Chain:
    """A callable object."""

    def __call__(self, logits, top_n_sigma):
        require_logits(logits)
        require(math.isfinite(top_n_sigma), "top_n_sigma")
        if top_n_sigma <= 0:
            return logits
        z = np.ma.masked_invalid(logits.astype(np.float64))
        # shift first so that the variance of huge logits does not overflow
        g = z - z.max(-1, keepdims=True)
        sigma = np.sqrt((np.square(g - g.mean(-1, keepdims=True))).mean(-1, keepdims=True))
        keep = (g >= -top_n_sigma * sigma).filled(False)
        return np.where(keep, logits, -np.inf)


callable_object = Chain()


def _scaled(logits, temperature, scale):
    require_logits(logits)
    require(temperature > 0 and math.isfinite(temperature), "temperature")
    z = logits.astype(np.float64) * scale
    with np.errstate(all="ignore"):
        return np.where(np.isneginf(z), -np.inf, np.maximum((z - z.max(-1, keepdims=True)) / temperature, -1e300))


partial_function = functools.partial(_scaled, scale=1.0)


@sf.target(order=["logit_bias", "temperature"], returns="probs", per_row=True, zero_temperature="reject")
def bias_per_row(logits, logit_bias, temperature):
    """A dict a row, refuses ids outside; temperatures [B]."""
    require_logits(logits)
    t = np.asarray(temperature, np.float64)[:, None]
    require(np.isfinite(t).all() and (t > 1e-30).all(), "temperature")
    z = logits.astype(np.float64)
    for row, bias in zip(z, logit_bias):
        for i, b in bias.items():
            require(0 <= i < len(row) and math.isfinite(b), "logit_bias")
            row[i] += b
    with np.errstate(all="ignore"):
        return special.softmax(np.where(np.isneginf(z), -np.inf, np.maximum((z - z.max(-1, keepdims=True)) / t, -1e300)), axis=-1)


def bias_ignores_unknown_ids(logits, logit_bias):
    """float32, unknown ids ignored. Undecorated."""
    require_logits(logits)
    out = logits.copy()
    for i, b in logit_bias.items():
        if 0 <= i < out.shape[1]:
            out[:, i] += np.float32(b)
    return out


@sf.target(order=["presence_penalty", "frequency_penalty"], returns="logits")
def additive_penalties_touch_seen_only(logits, history, presence_penalty, frequency_penalty):
    """z[ids] -= ...: a NaN penalty poisons the rows that have a history and has nothing to act on in the others. (NaN out is
    fair; where nothing was seen the penalty is not used)."""
    require_logits(logits)
    out = logits.astype(np.float64)
    for row, ids in zip(out, history):
        ids, n = np.unique(np.asarray(ids, int), return_counts=True)
        require(ids.size == 0 or (ids[0] >= 0 and ids[-1] < len(row)), "history")
        row[ids] -= presence_penalty + frequency_penalty * n
    return out


@sf.target(order=["repetition_penalty"], returns="logits")
def repetition_with_window(logits, history, repetition_penalty, penalty_last_n):
    """float32, the last n tokens; -1 all, 0 none; r > 0."""
    require_logits(logits)
    require(1e-3 <= repetition_penalty <= 1e3, "repetition_penalty")
    require(penalty_last_n >= -1, "penalty_last_n")
    out = logits.copy()
    for row, ids in zip(out, history):
        ids = list(map(int, ids))
        for i in set(ids if penalty_last_n == -1 else ids[max(0, len(ids) - penalty_last_n) :]):
            require(0 <= i < len(row), "history")
            row[i] = row[i] * np.float32(repetition_penalty) if row[i] < 0 else row[i] / np.float32(repetition_penalty)
    return out


@sf.target(
    order=["repetition_penalty", "frequency_penalty", "presence_penalty", "temperature", "min_p", "top_k", "top_p"],
    returns="probs",
    dialect="vllm",
    per_row=True,
)
def vllm_style(logits, prompt, output, repetition_penalty, frequency_penalty, presence_penalty, temperature, min_p, top_k, top_p):
    """vLLM: repetition over prompt and output, the others over the output; k then p by one ascending sort."""
    require_logits(logits)
    rp, fp, pp = (np.asarray(x, np.float64) for x in (repetition_penalty, frequency_penalty, presence_penalty))
    t, mp, tp = (np.asarray(x, np.float64) for x in (temperature, min_p, top_p))
    require(((rp >= 1e-3) & (rp <= 1e3)).all(), "repetition_penalty")
    require((np.abs(fp) <= 2).all() and (np.abs(pp) <= 2).all(), "penalties")
    require(((t == 0) | ((t >= 1e-5) & (t <= 100))).all(), "temperature")
    require(((mp >= 0) & (mp <= 1)).all() and ((tp > 0) & (tp <= 1)).all(), "min_p top_p")
    z = logits.astype(np.float32).copy()
    b, v = z.shape
    for i in range(b):
        both = np.concatenate([prompt[i], output[i]]).astype(int)
        require(both.size == 0 or (both.min() >= 0 and both.max() < v), "ids")
        seen = np.zeros(v, bool)
        seen[both] = True
        z[i] = np.where(seen, np.where(z[i] > 0, z[i] / rp[i], z[i] * rp[i]), z[i]).astype(np.float32)
        c = np.bincount(np.asarray(output[i], int), minlength=v)
        z[i] = (z[i] - fp[i] * c - pp[i] * (c > 0)).astype(np.float32)
    greedy = t == 0
    best = z.argmax(-1)
    with np.errstate(all="ignore"):
        z = (
            np.maximum((z - z.max(-1, keepdims=True)) / np.where(greedy, 1, t)[:, None], -3e38) + np.where(np.isneginf(z), -np.inf, 0)
        ).astype(np.float32)
    p = special.softmax(z, axis=-1)
    z = np.where(p < mp[:, None] * p.max(-1, keepdims=True), -np.inf, z)
    o = np.argsort(z, -1, kind="stable")
    s = np.take_along_axis(z, o, -1)
    k = np.where((top_k <= 0) | (top_k > v), v, top_k).astype(int)
    kth = s[np.arange(b), v - k][:, None]
    s = np.where(s < kth, -np.inf, s)
    q = special.softmax(s, axis=-1)
    gone = np.cumsum(q, -1) <= 1 - tp[:, None]
    gone[:, -1] = False
    s = np.where(gone, -np.inf, s)
    z = np.full_like(s, -np.inf)
    np.put_along_axis(z, o, s, -1)
    p = special.softmax(z, axis=-1)
    p[greedy] = np.arange(v) == best[greedy][:, None]
    return p


@sf.target(order=["xtc", "temperature"], returns="logits")
def xtc_with_coin(logits, xtc_threshold, xtc_probability, temperature, seed):
    """One coin a row from the seed; strictly above the threshold; ties of the least probable broken by id; T last."""
    require_logits(logits)
    require(0 <= xtc_threshold <= 1 and 0 <= xtc_probability <= 1, "xtc")
    require(1e-4 <= temperature <= 1e4, "temperature")
    coins = np.random.default_rng(seed).random(len(logits))
    z = logits.astype(np.float64)
    for row, coin in zip(z, coins):
        if coin < xtc_probability:
            p = special.softmax(row)
            above = np.flatnonzero(p > xtc_threshold)
            if len(above) > 1 and xtc_threshold <= 0.5:
                keep = above[np.argmin(p[above])]
                row[np.setdiff1d(above, [keep])] = -np.inf
    with np.errstate(all="ignore"):
        return np.where(np.isneginf(z), -np.inf, np.maximum((z - z.max(-1, keepdims=True)) / temperature, -1e300))
