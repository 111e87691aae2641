"""Wrong samplers of the rarer techniques: each has the one mistake that its first line names, and validates its input."""

import numpy as np

import samplerfuzz as sf


def require(condition, message):
    if not condition:
        raise ValueError(message)


def prepared(logits):
    """Refuse nonsense; return logits and probabilities in float64."""
    require(not np.isnan(logits).any() and not np.isposinf(logits).any() and not np.isneginf(logits).all(-1).any(), "logits")
    z = logits.astype(np.float64)
    p = np.exp(z - z.max(-1, keepdims=True))
    return z, p / p.sum(-1, keepdims=True)


def masked(z, keep):
    """Return the logits of what is kept, or of the arg-max."""
    return np.where(keep | (z == z.max(-1, keepdims=True)), z, -np.inf)


def entropies(p):
    return -np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0).sum(-1, keepdims=True)


def prefix(z, counts):
    """Return the logits of the first tokens of each row."""
    return masked(z, np.argsort(np.argsort(-z, -1, kind="stable"), -1) < np.asarray(counts)[:, None])


@sf.target(order=["epsilon_cutoff"], returns="logits")
def epsilon_of_the_largest(logits, epsilon_cutoff):
    """The cut is a share of the largest probability, as in min-p."""
    require(0 < epsilon_cutoff < 1, "epsilon_cutoff")
    z, p = prepared(logits)
    return masked(z, p >= epsilon_cutoff * p.max(-1, keepdims=True))


@sf.target(order=["epsilon_cutoff"], returns="logits")
def epsilon_that_empties_the_row(logits, epsilon_cutoff):
    """Nothing stays where nothing reaches the cut."""
    require(0 < epsilon_cutoff < 1, "epsilon_cutoff")
    z, p = prepared(logits)
    return np.where(p >= epsilon_cutoff, z, -np.inf)


@sf.target(order=["eta_cutoff"], returns="logits")
def eta_in_bits(logits, eta_cutoff):
    """The entropy is measured in bits."""
    require(0 < eta_cutoff < 1, "eta_cutoff")
    z, p = prepared(logits)
    return masked(z, p >= np.minimum(eta_cutoff, np.sqrt(eta_cutoff) * np.exp(-entropies(p) / np.log(2))))


@sf.target(order=["eta_cutoff"], returns="logits")
def eta_under_one_root(logits, eta_cutoff):
    """The root is taken of the product, not of ε alone."""
    require(0 < eta_cutoff < 1, "eta_cutoff")
    z, p = prepared(logits)
    return masked(z, p >= np.minimum(eta_cutoff, np.sqrt(eta_cutoff * np.exp(-entropies(p)))))


@sf.target(order=["top_a"], returns="logits")
def top_a_without_the_square(logits, top_a):
    """The largest probability is not squared."""
    require(0 <= top_a <= 1, "top_a")
    z, p = prepared(logits)
    return masked(z, p >= top_a * p.max(-1, keepdims=True))


@sf.target(order=["top_a"], returns="logits")
def top_a_of_weights(logits, top_a):
    """The weights are not normalised."""
    require(0 <= top_a <= 1, "top_a")
    z, p = prepared(logits)
    return masked(z, p / p.max(-1, keepdims=True) >= top_a)


@sf.target(order=["p_less"], returns="logits")
def p_less_of_the_norm(logits, p_less):
    """The threshold is the root of Σp²."""
    require(p_less in (0, 1), "p_less")
    z, p = prepared(logits)
    return masked(z, (p >= np.sqrt((p * p).sum(-1, keepdims=True))) | (p_less == 0))


@sf.target(order=["p_less_norm"], returns="logits")
def p_less_norm_over_n(logits, p_less_norm):
    """The excess over chance is divided by N, not by N − 1."""
    require(p_less_norm in (0, 1), "p_less_norm")
    z, p = prepared(logits)
    n = np.isfinite(z).sum(-1, keepdims=True)
    return masked(z, (p >= (n * (p * p).sum(-1, keepdims=True) - 1) / n) | (p_less_norm == 0))


@sf.target(order=["top_h"], returns="logits")
def top_h_with_the_crossing_token(logits, top_h):
    """The token that exceeds the bound stays too."""
    require(0 < top_h <= 1, "top_h")
    z, p = prepared(logits)
    q = -np.sort(-p, -1)
    mass = np.cumsum(q, -1)
    sums = np.cumsum(-q * np.log(np.where(q > 0, q, 1)), -1) / mass + np.log(mass)
    return prefix(z, (sums <= top_h * entropies(p)).sum(-1) + 1)


@sf.target(order=["top_h"], returns="logits")
def top_h_of_the_mass(logits, top_h):
    """The share is of the mass, as in top-p."""
    require(0 < top_h <= 1, "top_h")
    z, p = prepared(logits)
    return prefix(z, (np.cumsum(-np.sort(-p, -1), -1) <= top_h).sum(-1))


def _cut(z, d, share, before):
    with np.errstate(invalid="ignore", divide="ignore"):
        c = (np.cumsum(d, -1) / d.sum(-1, keepdims=True) <= share).sum(-1)
    return prefix(z, np.maximum(1, c + before)) if share < 1 and z.shape[-1] > 2 else z


@sf.target(order=["tfs_z"], returns="logits")
def tail_free_three_late(logits, tfs_z):
    """Off by one beyond the last of the three tokens."""
    require(0 < tfs_z <= 1, "tfs_z")
    z, p = prepared(logits)
    return _cut(z, np.abs(np.diff(-np.sort(-p, -1), 2)), tfs_z, 3)


@sf.target(order=["tfs_z"], returns="logits")
def tail_free_by_the_slope(logits, tfs_z):
    """The first difference is taken for the second."""
    require(0 < tfs_z <= 1, "tfs_z")
    z, p = prepared(logits)
    return _cut(z, np.abs(np.diff(-np.sort(-p, -1), 1)), tfs_z, 0)


@sf.target(order=["tfs_z"], returns="logits")
def tail_free_not_normalised(logits, tfs_z):
    """The running sum is compared with z itself."""
    require(0 < tfs_z <= 1, "tfs_z")
    z, p = prepared(logits)
    c = (np.cumsum(np.abs(np.diff(-np.sort(-p, -1), 2)), -1) <= tfs_z).sum(-1)
    return prefix(z, np.maximum(1, c)) if tfs_z < 1 and z.shape[-1] > 2 else z


@sf.target(order=["smoothing"], returns="logits")
def smoothing_with_the_terms_exchanged(logits, smoothing_factor, smoothing_curve):
    """The square gets the share of the cube."""
    require(0 <= smoothing_factor <= 10 and 1 <= smoothing_curve <= 3, "parameters")
    z, _ = prepared(logits)
    gap = np.where(np.isfinite(z), z - z.max(-1, keepdims=True), 0)
    k, s = (smoothing_curve - 1) / 2, (3 - smoothing_curve) / 2
    bent = smoothing_factor * gap * gap * (s * gap - k)
    return z if smoothing_factor == 0 else np.where(np.isfinite(z), np.maximum(bent, -1e30), -np.inf)


@sf.target(order=["smoothing"], returns="logits")
def smoothing_below_the_maximum_of_the_batch(logits, smoothing_factor):
    """The maximum is that of all rows."""
    require(0 <= smoothing_factor <= 10, "smoothing_factor")
    z, _ = prepared(logits)
    gap = np.where(np.isfinite(z), z - z.max(), 0)
    return z if smoothing_factor == 0 else np.where(np.isfinite(z), np.maximum(-smoothing_factor * gap * gap, -1e30), -np.inf)


def _divided(z, t):
    gap = z - z.max(-1, keepdims=True)
    return np.where(np.isneginf(z), -np.inf, np.where(gap == 0, 0, np.maximum(gap / np.maximum(t, 1e-30), -1e30)))


def _ranged(z, p, t, r, exponent):
    n = np.isfinite(z).sum(-1, keepdims=True)
    return max(0.0, t - r) + (t + r - max(0.0, t - r)) * np.clip(entropies(p) / np.log(np.maximum(n, 2)), 0, 1) ** exponent


@sf.target(order=["dynatemp"], returns="logits")
def dynamic_temperature_upside_down(logits, temperature, dynatemp_range):
    """High entropy gives a low temperature."""
    require(0.01 <= temperature <= 2 and 0 <= dynatemp_range <= 2, "parameters")
    z, p = prepared(logits)
    t = _ranged(z, p, temperature, dynatemp_range, 1.0)
    return _divided(z, max(0.0, temperature - dynatemp_range) + temperature + dynatemp_range - t)


@sf.target(order=["dynatemp"], returns="logits")
def dynamic_temperature_without_its_exponent(logits, temperature, dynatemp_range, dynatemp_exponent):
    """The exponent is ignored."""
    require(0.01 <= temperature <= 2 and 0 <= dynatemp_range <= 2 and dynatemp_exponent > 0, "parameters")
    z, p = prepared(logits)
    return _divided(z, _ranged(z, p, temperature, dynatemp_range, 1.0))


@sf.target(order=["dynatemp"], returns="logits")
def dynamic_temperature_in_bits(logits, temperature, dynatemp_range):
    """The entropy is in bits, its maximum in nats."""
    require(0.01 <= temperature <= 2 and 0 <= dynatemp_range <= 2, "parameters")
    z, p = prepared(logits)
    lo, hi = max(0.0, temperature - dynatemp_range), temperature + dynatemp_range
    n = np.maximum(np.isfinite(z).sum(-1, keepdims=True), 2)
    return _divided(z, lo + (hi - lo) * entropies(p) / np.log(2) / np.log(n))


@sf.target(order=["allowed_tokens"], returns="logits")
def allowed_with_negative_ids(logits, allowed_tokens):
    """An id of −1 allows the last token."""
    prepared(logits)
    require(len(allowed_tokens) and max(allowed_tokens) < logits.shape[-1] and min(allowed_tokens) >= -1, "allowed_tokens")
    out = np.full(logits.shape, -np.inf)
    out[:, allowed_tokens] = logits[:, allowed_tokens]
    return out


@sf.target(order=["forbidden_tokens", "temperature"], returns="logits", negative_temperature="invert")
def forbidden_before_a_negative_temperature(logits, forbidden_tokens, temperature):
    """Forbidden tokens are masked before the division, and a negative temperature makes them the best."""
    z, _ = prepared(logits)
    require(abs(temperature) > 0.01 and all(0 <= i < logits.shape[-1] for i in forbidden_tokens), "parameters")
    z[:, forbidden_tokens] = -np.inf
    z = z / temperature
    return np.where(np.isposinf(z), 1e30, z)


@sf.target(order=["top_p"], returns="logits")
def one_token_too_few_is_kept(logits, top_p, min_tokens_to_keep):
    """One token less than `min_tokens_to_keep` stays."""
    require(0 < top_p <= 1 and min_tokens_to_keep >= 1, "parameters")
    z, p = prepared(logits)
    n = (np.cumsum(-np.sort(-p, -1), -1) < top_p).sum(-1) + 1
    return z if top_p == 1 else prefix(z, np.maximum(n, min_tokens_to_keep - 1))


@sf.target(order=["typical_p"], returns="logits")
def the_largest_are_kept_by_typical_sampling(logits, typical_p, min_tokens_to_keep):
    """`min_tokens_to_keep` spares the largest, not the nearest to the entropy."""
    require(0 < typical_p <= 1 and min_tokens_to_keep >= 1, "parameters")
    z, p = prepared(logits)
    score = np.abs(-np.log(np.where(p > 0, p, 1e-300)) - entropies(p))
    order = np.argsort(np.where(np.isfinite(z), score, np.inf), -1, kind="stable")
    n = (np.cumsum(np.take_along_axis(p, order, -1), -1) < typical_p).sum(-1, keepdims=True) + 1
    keep = np.argsort(order, -1) < n
    keep |= np.argsort(np.argsort(-z, -1, kind="stable"), -1) < (min_tokens_to_keep if min_tokens_to_keep > 1 else 0)
    return np.where(keep | (typical_p == 1), z, -np.inf)


@sf.target(order=["xtc"], returns="logits")
def xtc_below_the_least_count(logits, xtc_threshold, min_tokens_to_keep):
    """`min_tokens_to_keep` is accepted and ignored."""
    require(0 <= xtc_threshold <= 1 and min_tokens_to_keep >= 1, "parameters")
    z, p = prepared(logits)
    top = (p >= xtc_threshold) & np.isfinite(z)
    least = np.where(top, z, np.inf).min(-1, keepdims=True)
    return np.where(top & (z > least) & (xtc_threshold <= 0.5), -np.inf, z)
