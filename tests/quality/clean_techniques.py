"""Correct samplers of the rarer techniques, in other styles than the built-in ones: the fuzzer must accuse none of them.

Sums run in float32 from either end, thresholds are compared in probabilities or in logarithms, prefixes are found by sorting with ties cut by
index, and every convention that released engines follow is here once. They share no code on purpose, apart from the refusal of nonsense.
"""

import numpy as np

import samplerfuzz as sf


def require(condition, message):
    if not condition:
        raise ValueError(message)


def require_logits(z):
    require(not np.isnan(z).any() and not np.isposinf(z).any(), "logits must not hold NaN or +inf")
    require(not np.isneginf(z).all(-1).any(), "a row of logits has no finite entry")


@sf.target(order=["epsilon_cutoff"], returns="logits")
def epsilon_in_single_precision(logits, epsilon_cutoff):
    """float32; the sum from the small end; strict, as the paper writes it; the first arg-max stays."""
    require_logits(logits)
    require(0 < epsilon_cutoff < 1, "epsilon_cutoff")
    with np.errstate(over="ignore"):
        e = np.exp(logits - logits.max(-1, keepdims=True))
    p = e / np.sort(e, -1).cumsum(-1, dtype=np.float32)[:, -1:]
    keep = p > np.float32(epsilon_cutoff)
    keep[np.arange(len(p)), logits.argmax(-1)] = True
    return np.where(keep, logits, np.float32(-np.inf))


@sf.target(order=["epsilon_cutoff"], returns="probs")
def epsilon_with_a_least_count(logits, epsilon_cutoff, min_tokens_to_keep):
    """float64; below the cut or not among the m largest goes; probabilities come back."""
    require_logits(logits)
    require(0 <= epsilon_cutoff < 1 and min_tokens_to_keep >= 1, "parameters")
    z = logits.astype(np.float64)
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    m = min(int(min_tokens_to_keep), z.shape[-1])
    floor = np.partition(z, -m, -1)[:, -m, None]
    p[(p < epsilon_cutoff) & (z < floor)] = 0
    return p / p.sum(-1, keepdims=True)


@sf.target(order=["eta_cutoff"], returns="logits")
def eta_in_logarithms(logits, eta_cutoff):
    """Log-probabilities against min(ln ε, ln ε / 2 − H), float32."""
    require_logits(logits)
    require(0 < eta_cutoff < 1, "eta_cutoff")
    with np.errstate(over="ignore"):
        gap = logits - logits.max(-1, keepdims=True)
        logp = gap - np.log(np.exp(gap).sum(-1, keepdims=True, dtype=np.float32))
    finite = np.isfinite(logp)
    entropy = -np.where(finite, np.exp(logp) * np.where(finite, logp, 0), 0).sum(-1, keepdims=True, dtype=np.float32)
    log_epsilon = np.float32(np.log(eta_cutoff))
    keep = logp >= np.minimum(log_epsilon, log_epsilon / 2 - entropy)
    return np.where(keep | (logits == logits.max(-1, keepdims=True)), logits, np.float32(-np.inf))


@sf.target(order=["top_a"], returns="logits")
def top_a_walking_down(logits, top_a):
    """From the most probable token down to the first below a·p²; a stable sort cuts ties by index; at least one stays; 0 is off."""
    require_logits(logits)
    require(0 <= top_a <= 1, "top_a")
    out = np.full(logits.shape, -np.inf, np.float32)
    for row, kept in zip(logits, out):
        ids = np.argsort(-row, kind="stable")
        ids = ids[np.isfinite(row[ids])]
        with np.errstate(over="ignore"):
            p = np.exp(row[ids] - row[ids[0]], dtype=np.float32)
        p /= p.sum(dtype=np.float32)
        n = 1
        while n < len(ids) and (top_a == 0 or p[n] >= np.float32(top_a) * p[0] * p[0]):
            n += 1
        kept[ids[:n]] = row[ids[:n]]
    return out


def p_less(logits):
    """Undecorated, without a parameter: the order is told below."""
    require_logits(logits)
    with np.errstate(over="ignore"):
        e = np.exp(logits - logits.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    p = np.where(p < np.square(p).sum(-1, keepdims=True), np.where(p == p.max(-1, keepdims=True), p, 0), p)
    return p / p.sum(-1, keepdims=True)


p_less = sf.target(order=["p_less"], returns="probs")(p_less)


@sf.target(order=["p_less"], returns="logits", per_row=True)
def p_less_by_rows(logits, p_less):
    """exp of the Rényi entropy of order 2: ln p ≥ −H₂, float64, row by row."""
    require_logits(logits)
    out = logits.astype(np.float64)
    for row, on in zip(out, p_less):
        if on:
            logp = row - np.logaddexp.reduce(row[np.isfinite(row)])
            renyi = -np.logaddexp.reduce(2 * logp[np.isfinite(logp)])
            row[(logp < -renyi) & (row < row.max())] = -np.inf
    return out


@sf.target(order=["p_less_norm"], returns="probs")
def p_less_norm_over_the_vocabulary(logits):
    """As the authors count: masked tokens are part of N."""
    require_logits(logits)
    z = logits.astype(np.float64)
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    n = z.shape[-1]
    floor = (n * (p * p).sum(-1, keepdims=True) - 1) / max(n - 1, 1)
    p[(p < floor) & (p < p.max(-1, keepdims=True))] = 0
    return p / p.sum(-1, keepdims=True)


@sf.target(order=["p_less_norm"], returns="logits")
def p_less_norm_over_what_is_allowed(logits, p_less_norm):
    """float32; variance form: Σp² − (1 − Σp²)/(N − 1), N without masked tokens."""
    require_logits(logits)
    if not p_less_norm:
        return logits
    out = np.full(logits.shape, -np.inf, np.float32)
    for row, kept in zip(logits, out):
        ids = np.flatnonzero(np.isfinite(row))
        with np.errstate(over="ignore"):
            e = np.exp(row[ids] - row[ids].max())
        p = e / e.sum(dtype=np.float32)
        s = np.dot(p, p)
        floor = s - (1 - s) / max(len(ids) - 1, 1) if len(ids) > 1 else np.float32(0)
        ids = ids[(p >= floor) | (p == p.max())]
        kept[ids] = row[ids]
    return out


@sf.target(order=["top_h"], returns="logits")
def top_h_of_the_paper(logits, top_h):
    """Token after token while the entropy of what is kept, renormalised, is within the bound; ties cut by index."""
    require_logits(logits)
    require(0 < top_h <= 1, "top_h")
    out = np.full(logits.shape, -np.inf, np.float32)
    for row, kept in zip(logits, out):
        ids = np.argsort(-row, kind="stable")[: np.isfinite(row).sum()]
        p = np.exp(row[ids].astype(np.float64) - row[ids[0]])
        p = p[p > 0] / p.sum()
        bound = top_h * -(p * np.log(p)).sum()
        n = 1
        while n < len(p) and -(p[: n + 1] / p[: n + 1].sum() * np.log(p[: n + 1] / p[: n + 1].sum())).sum() <= bound:
            n += 1
        n = len(ids) if top_h == 1 else n
        kept[ids[:n]] = row[ids[:n]]
    return out


@sf.target(order=["top_h"], returns="logits")
def top_h_of_transformers(logits, top_h):
    """Partial sums of −p ln p over the 100 best, float32; the first always stays."""
    require_logits(logits)
    require(0 < top_h <= 1, "top_h")
    best = np.argsort(-logits, -1, kind="stable")[:, :100]
    z = np.take_along_axis(logits, best, -1)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        e = np.exp(z - z[:, :1])
        p = e / e.sum(-1, keepdims=True)
        terms = np.where(p > 0, -p * np.log(p), 0).astype(np.float32)
    sums = np.cumsum(terms, -1, dtype=np.float32)
    keep = sums <= np.float32(top_h) * terms.sum(-1, keepdims=True)
    keep[:, 0] = True
    out = np.full(logits.shape, -np.inf, np.float32)
    np.put_along_axis(out, best, np.where(keep, z, np.float32(-np.inf)), -1)
    return out


def _bends(p):
    d = np.abs(np.diff(np.diff(p)))
    return d / d.sum() if d.sum() > 1e-6 else np.full(len(d), 1 / max(len(d), 1))


@sf.target(order=["tfs_z"], returns="logits")
def tail_free_of_koboldcpp(logits, tfs_z):
    """float32; stops before the first token of the three; two tokens or fewer stay."""
    require_logits(logits)
    require(0 <= tfs_z <= 1, "tfs_z")
    out = logits.copy()
    for row in out:
        ids = np.argsort(-row, kind="stable")[: np.isfinite(row).sum()]
        if tfs_z >= 1 or len(ids) <= 2:
            continue
        with np.errstate(over="ignore"):
            e = np.exp(row[ids] - row[ids[0]])
        c = int((np.cumsum(_bends(e / e.sum()), dtype=np.float32) <= np.float32(tfs_z)).sum())
        row[ids[max(c, 1) :]] = -np.inf
    return out


@sf.target(order=["tfs_z"], returns="logits")
def tail_free_of_text_generation_webui(logits, tfs_z):
    """float32; masked tokens are zeros of the curve; one token more stays, and the last of the row never does."""
    require_logits(logits)
    require(0 <= tfs_z <= 1, "tfs_z")
    if tfs_z == 1 or logits.shape[-1] < 2:
        return logits
    out = logits.copy()
    for row in out:
        ids = np.argsort(-row, kind="stable")
        with np.errstate(over="ignore"):
            e = np.exp(row[ids] - row[ids[0]])
        d = np.abs(np.diff(np.diff(e / e.sum(dtype=np.float32))))
        with np.errstate(invalid="ignore", divide="ignore"):
            gone = np.cumsum(d / d.sum(dtype=np.float32), dtype=np.float32) > np.float32(tfs_z)
        row[ids[np.concatenate([[False], gone, [True]])]] = -np.inf
    return out


@sf.target(order=["tfs_z"], returns="logits")
def tail_free_of_its_author(logits, tfs_z):
    """float64; the cut stands at the last token of the three, and what ties with it stays."""
    require_logits(logits)
    require(0 < tfs_z <= 1, "tfs_z")
    out = logits.astype(np.float64)
    for row in out:
        values = np.sort(row[np.isfinite(row)])[::-1]
        if tfs_z == 1 or len(values) <= 2:
            continue
        p = np.exp(values - values[0])
        beyond = np.cumsum(_bends(p / p.sum())) > tfs_z
        at = int(beyond.argmax()) if beyond.any() else len(values) - 2
        row[row < values[at + 1]] = -np.inf
    return out


@sf.target(order=["smoothing"], returns="logits")
def quadratic_in_single_precision(logits, smoothing_factor):
    """The square alone, added to the maximum, float32; what overflows is the least float32."""
    require_logits(logits)
    require(0 <= smoothing_factor <= 1e6, "smoothing_factor")
    if smoothing_factor == 0:
        return logits
    top = logits.max(-1, keepdims=True)
    with np.errstate(over="ignore"):
        bent = top - np.float32(smoothing_factor) * (logits - top) ** 2
    return np.where(np.isneginf(logits), logits, np.maximum(bent, np.finfo(np.float32).min))


@sf.target(order=["smoothing"], returns="probs")
def quadratic_and_cubic(logits, smoothing_factor, smoothing_curve):
    """Both terms by Horner's rule in float64; probabilities come back."""
    require_logits(logits)
    require(0 <= smoothing_factor <= 1e6 and 1 <= smoothing_curve <= 10, "parameters")
    z = logits.astype(np.float64)
    if smoothing_factor > 0:
        gap = np.where(np.isfinite(z), z - z.max(-1, keepdims=True), 0)
        bent = ((smoothing_curve - 1) / 2 * gap - (3 - smoothing_curve) / 2) * gap * gap * smoothing_factor
        z = np.where(np.isfinite(z), np.maximum(bent, -1e300), -np.inf)
    p = np.exp(z - z.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


@sf.target(order=["dynatemp"], returns="logits")
def dynamic_temperature_of_llama_cpp(logits, temperature, dynatemp_range, dynatemp_exponent):
    """float32; every entry counts in ln N, masked ones too; a temperature of 0 keeps the first arg-max."""
    require_logits(logits)
    require(0 <= temperature <= 1e6 and 0 <= dynatemp_range <= 1e6 and 0 <= dynatemp_exponent <= 100, "parameters")
    out = np.full(logits.shape, -np.inf, np.float64)
    for row, z in zip(out, logits):
        t = np.float32(temperature)
        if dynatemp_range > 0 and len(z) > 1:
            with np.errstate(over="ignore"):
                e = np.exp(z - z.max())
            p = e / e.sum(dtype=np.float32)
            entropy = -np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0).sum(dtype=np.float32)
            low, high = max(np.float32(0), t - np.float32(dynatemp_range)), t + np.float32(dynatemp_range)
            t = low + (high - low) * (max(entropy, np.float32(0)) / np.float32(np.log(len(z)))) ** np.float32(dynatemp_exponent)
        if t <= 0:
            row[z.argmax()] = 0
            continue
        gap = (z.astype(np.float64) - z.max()) / np.float64(t)
        row[:] = np.where(np.isneginf(z), -np.inf, np.maximum(gap, -1e300))
    return out


@sf.target(order=["dynatemp"], returns="probs", per_row=True)
def dynamic_temperature_by_rows(logits, dynatemp_range, temperature):
    """float64; N without masked tokens; a temperature of 0 is greedy before anything else is looked at."""
    require_logits(logits)
    require(((temperature >= 0) & (temperature < 1e6) & (dynatemp_range >= 0) & (dynatemp_range < 1e6)).all(), "parameters")
    out = np.zeros(logits.shape)
    for p, z, t, r in zip(out, logits.astype(np.float64), temperature, dynatemp_range):
        ids = np.flatnonzero(np.isfinite(z))
        gap = z[ids] - z[ids].max()
        if t == 0 or len(ids) == 1:
            p[ids[gap.argmax()]] = 1
            continue
        q = np.exp(gap)
        q /= q.sum()
        share = -(q[q > 0] * np.log(q[q > 0])).sum() / np.log(len(ids))
        t = max(0.0, t - r) + (t + r - max(0.0, t - r)) * share if r > 0 else t
        q = np.exp(gap / t) if t > 1e-300 else (gap == 0) * 1.0
        p[ids] = q / q.sum()
    return out


@sf.target(order=["allowed_tokens", "forbidden_tokens"], returns="logits", per_row=True)
def masks_by_sets(logits, allowed_tokens, forbidden_tokens):
    """Python sets; ids outside the vocabulary are ignored; a row without a token left, or with nonsense, comes out as NaN."""
    out = np.full(logits.shape, -np.inf, np.float32)
    for row, z, yes, no in zip(out, logits, allowed_tokens, forbidden_tokens):
        ids = sorted((set(yes) - set(no)) & set(range(len(z))))
        row[ids] = z[ids]
        if not np.isfinite(z[ids]).any() or np.isnan(z).any() or np.isposinf(z).any():
            row[:] = np.nan
    return out


@sf.target(order=["temperature", "forbidden_tokens", "top_k"], returns="tokens")
def forbidden_before_the_draw(logits, temperature, forbidden_tokens, top_k, u):
    """Ids outside the vocabulary are refused; the draw is inverse CDF over what is left."""
    require_logits(logits)
    require(np.isfinite(temperature) and temperature > 0 and top_k >= 1, "parameters")
    require(all(0 <= i < logits.shape[-1] for i in forbidden_tokens), "forbidden_tokens")
    out = []
    for row, x in zip(logits.astype(np.float64), u):
        row = row.copy()
        row[list(forbidden_tokens)] = -np.inf
        require(np.isfinite(row).any(), "nothing is left")
        ids = np.argsort(-row, kind="stable")[: min(int(top_k), int(np.isfinite(row).sum()))]
        with np.errstate(over="ignore"):
            c = np.cumsum(np.exp((row[ids] - row[ids[0]]) / temperature))
        out.append(ids[min(int(np.searchsorted(c, x * c[-1], side="right")), int(np.flatnonzero(np.diff(c, prepend=0))[-1]))])
    return np.array(out, np.int64)


@sf.target(order=["typical_p", "min_p"], returns="logits")
def typical_then_min_p_with_a_least_count(logits, typical_p, min_p, min_tokens_to_keep):
    """Each filter spares the first m of its own order; ties by index."""
    require_logits(logits)
    require(0 < typical_p <= 1 and 0 <= min_p <= 1 and min_tokens_to_keep >= 1, "parameters")
    m, out = int(min_tokens_to_keep), np.full(logits.shape, -np.inf)
    for row, kept in zip(logits.astype(np.float64), out):
        ids = np.flatnonzero(np.isfinite(row))
        gap = row[ids].max() - row[ids]
        p = np.exp(-gap) / np.exp(-gap).sum()
        s = gap + np.log(np.exp(-gap).sum())
        order = np.argsort(np.abs(s - (p * s).sum()), kind="stable")
        n = len(ids) if typical_p == 1 else int((np.cumsum(p[order]) < typical_p).sum()) + 1
        ids = ids[order[: max(n, m)]]
        ids = ids[np.argsort(-row[ids], kind="stable")]
        n = int((np.exp(row[ids] - row[ids[0]]) >= min_p).sum())
        kept[ids[: max(n, m)]] = row[ids[: max(n, m)]]
    return out


@sf.target(order=["top_k", "top_p", "min_p"], returns="logits")
def three_filters_with_a_least_count(logits, top_k, top_p, min_p, min_tokens_to_keep):
    """Sorted once; every filter shortens the prefix, none below m."""
    require_logits(logits)
    require(top_k >= 1 and 0 < top_p <= 1 and 0 <= min_p <= 1 and min_tokens_to_keep >= 1, "parameters")
    m, out = int(min_tokens_to_keep), np.full(logits.shape, -np.inf, np.float32)
    for row, kept in zip(logits, out):
        ids = np.argsort(-row, kind="stable")[: np.isfinite(row).sum()]
        n = min(len(ids), max(int(top_k), m))
        with np.errstate(over="ignore"):
            e = np.exp(row[ids[:n]] - row[ids[0]], dtype=np.float32)
        c = np.cumsum(e / e.sum(), dtype=np.float32)
        n = min(n, max(m, int((c < top_p).sum()) + 1)) if top_p < 1 else n
        n = min(n, max(m, int((e[:n] >= np.float32(min_p)).sum())))
        kept[ids[:n]] = row[ids[:n]]
    return out


@sf.target(order=["xtc"], returns="logits")
def xtc_with_a_least_count(logits, xtc_threshold, min_tokens_to_keep):
    """Where fewer than m would be left nothing goes; the least probable top choice is the last of a stable sort."""
    require_logits(logits)
    require(0 <= xtc_threshold <= 1 and min_tokens_to_keep >= 1, "parameters")
    out = logits.astype(np.float64)
    for row in out:
        ids = np.argsort(-row, kind="stable")[: np.isfinite(row).sum()]
        p = np.exp(row[ids] - row[ids[0]])
        top = int((p / p.sum() >= xtc_threshold).sum()) if xtc_threshold <= 0.5 else 0
        if top > 1 and len(ids) - (top - 1) >= min_tokens_to_keep:
            row[ids[: top - 1]] = -np.inf
    return out
