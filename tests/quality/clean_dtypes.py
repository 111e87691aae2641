"""Correct samplers in low precision and in other array libraries."""

import ml_dtypes
import numpy as np

import samplerfuzz as sf

BF = ml_dtypes.bfloat16


def require(c, m):
    if not c:
        raise ValueError(m)


def require_logits(z):
    require(not np.isnan(z).any() and not np.isposinf(z).any(), "NaN or +inf")
    require(not np.isneginf(z).all(-1).any(), "empty row")


@sf.target(order=["temperature", "top_k"], returns="probs", dtype="bfloat16")
def bf16_temperature_top_k(logits, temperature, top_k):
    """bfloat16 logits and division, float32 softmax, bfloat16 answer; ties of the k-th kept."""
    require_logits(logits)
    require(np.isfinite(temperature) and temperature >= 0, "temperature")
    z = logits.astype(BF)
    if temperature == 0:
        p = np.zeros(z.shape, BF)
        p[np.arange(len(z)), z.astype(np.float32).argmax(-1)] = 1
        return p
    gap = (z - z.max(-1, keepdims=True)).astype(np.float32)
    with np.errstate(all="ignore"):
        s = (np.maximum(gap / np.float32(max(temperature, 1e-30)), np.float32(-3e38)) + np.where(np.isneginf(gap), -np.inf, 0)).astype(BF)
    v = z.shape[-1]
    if 0 < top_k < v:
        kth = np.sort(s.astype(np.float32), -1)[:, v - top_k, None]
        s = np.where(s.astype(np.float32) >= kth, s.astype(np.float32), -np.inf).astype(BF)
    e = np.exp(s.astype(np.float32))
    return (e / e.sum(-1, keepdims=True)).astype(BF)


@sf.target(order=["min_p"], returns="probs", dtype="float16")
def fp16_min_p(logits, min_p):
    """Casts the logits to float16 after subtracting the maximum in float32; float16 probabilities."""
    require_logits(logits)
    require(0 <= min_p <= 1, "min_p")
    with np.errstate(all="ignore"):
        g = (logits - logits.max(-1, keepdims=True)).astype(np.float16)
        e = np.exp(g.astype(np.float32)).astype(np.float16)
    e = np.where(e >= np.float16(min_p), e, np.float16(0)).astype(np.float32)
    return (e / e.sum(-1, keepdims=True)).astype(np.float16)


@sf.target(order=["top_k"], returns="logits", dtype="float16")
def fp16_logits_top_k(logits, top_k):
    """Casts the logits to float16 first, as a half-precision engine does; refuses nothing but NaN/inf rows. What overflows float16
    is not representable in the declared dtype."""
    require_logits(logits)
    z = logits.astype(np.float16)
    v = z.shape[-1]
    k = top_k if 0 < top_k < v else v
    kth = np.sort(z, -1)[:, v - k, None]
    return np.where(z >= kth, z, np.float16(-np.inf))


@sf.target(order=["temperature"], returns="probs", dtype="bfloat16")
def bf16_softmax_all_the_way(logits, temperature):
    """Everything in bfloat16, sums too (numpy reduces bfloat16 in bfloat16 for small rows). T=0 greedy."""
    require_logits(logits)
    require(np.isfinite(temperature) and temperature >= 0, "temperature")
    if temperature == 0:
        return (np.arange(logits.shape[1]) == logits.astype(BF).astype(np.float32).argmax(-1)[:, None]).astype(float)
    z = logits.astype(BF)
    with np.errstate(all="ignore"):
        gap = z - z.max(-1, keepdims=True)
        t = BF(max(temperature, 1e-30))
        s = np.where(gap == 0, BF(0), gap / t).astype(BF)
        e = np.exp(s)
        return e / e.sum(-1, keepdims=True, dtype=np.float32).astype(BF)


@sf.target(order=["temperature"], returns="tokens", dtype="bfloat16", draws_in="float32", zero_temperature="reject")
def bf16_drawn_in_float32(logits, temperature, seed):
    """Probabilities in bfloat16, drawn from by sums in float32. T<=0 refused."""
    require_logits(logits)
    require(1e-4 <= temperature <= 1e4, "temperature")
    z = logits.astype(BF)
    with np.errstate(all="ignore"):
        gap = z - z.max(-1, keepdims=True)
        e = np.exp(np.where(gap == 0, BF(0), gap / BF(temperature)).astype(BF).astype(np.float32))
    p = (e / e.sum(-1, keepdims=True)).astype(BF).astype(np.float32)
    cdf = np.cumsum(p, -1, dtype=np.float32)
    u = np.random.default_rng(seed).random(len(z)) * cdf[:, -1]
    return (cdf > u[:, None]).argmax(-1)


@sf.target(order=["temperature", "top_p"], returns="logits", zero_temperature="reject")
def jax_eager(logits, temperature, top_p):
    """jnp, float32, descending sort, exclusive cumulative mass. T<=0 refused."""
    import jax
    import jax.numpy as jnp

    require_logits(logits)
    require(1e-6 <= temperature <= 1e6, "temperature")
    require(0 < top_p <= 1, "top_p")
    z = jnp.asarray(logits)
    z = jnp.where(jnp.isneginf(z), -jnp.inf, jnp.maximum((z - z.max(-1, keepdims=True)) / temperature, -3e38))
    order = jnp.argsort(-z, axis=-1, stable=True)
    s = jnp.take_along_axis(z, order, -1)
    p = jax.nn.softmax(s, -1)
    before = jnp.cumsum(p, -1) - p
    keep = (before < top_p) if top_p < 1 else jnp.ones_like(p, bool)
    keep = keep.at[:, 0].set(True)
    back = jnp.argsort(order, axis=-1)
    return jnp.where(jnp.take_along_axis(keep, back, -1), z, -jnp.inf)


@sf.target(order=["temperature", "top_k"], returns="tokens", per_row=True)
def jax_categorical_per_row(logits, temperature, top_k, seed):
    """jax.random.categorical (mode high) with a key per row; top_k by threshold."""
    import jax
    import jax.numpy as jnp

    require_logits(logits)
    t = np.asarray(temperature, np.float64)
    require(np.isfinite(t).all() and (t >= 0).all(), "temperature")
    v = logits.shape[1]
    out = []
    for z, ti, k, s in zip(logits, t, top_k, seed):
        k = int(k) if 0 < k < v else v
        kth = np.sort(z)[v - k]
        z = np.where(z >= kth, z, -np.inf)
        if ti == 0:
            out.append(int(z.argmax()))
            continue
        zz = np.where(np.isneginf(z), -np.inf, np.maximum((z.astype(np.float64) - z.max()) / ti, -1e30)).astype(np.float32)
        out.append(int(jax.random.categorical(jax.random.key(int(s)), jnp.asarray(zz), mode="high")))
    return np.array(out)
