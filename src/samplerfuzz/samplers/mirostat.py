"""Mirostat: keep the surprise of the text near a target by moving a bound on the surprise of a token (Basu et al., ICLR 2021, arXiv
2007.14966).

The bound μ, in bits, starts at 2τ and moves with every token: μ ← μ − η(S − τ), S = −log₂ p of the token taken, p as it arrives at the
stage: after temperature when that stands before, before the cut of mirostat itself. So the paper and its authors' code; llama.cpp and
its followers take S from the renormalised p, whose part of the surprise the cut has taken away.

Mirostat 2: kept are the tokens with −log₂ p ≤ μ, `≤` as in llama.cpp. Mirostat 1: kept are the k largest, as many as a Zipf law with
the exponent of the row would need for a mean surprise of μ: ŝ = Σtᵢbᵢ/Σtᵢ², tᵢ = ln((i+1)/i), bᵢ = ln(pᵢ/pᵢ₊₁), over the 99 pairs of
the 100 largest; ε̂ = ŝ − 1; k = (ε̂·2^μ/(1 − N^−ε̂))^(1/ŝ), N = allowed tokens, its limit where ε̂ = 0, cut to a whole number. A flat
row (ŝ = 0) keeps everything or one token, as 2^μ exceeds N − 1 or not.

The arg-max and its ties always stay, whatever μ; ties of the k-th stay. Off: `mirostat` = 0; any other number than 1 is taken for 2.
Neutral: τ = 100 bits, more than float32 can tell. Domain: reals. Invariant under a shift; it depends on where temperature stands. It is
the last stage before the draw in every engine.

Source: the paper; github.com/basusourya/mirostat, mirostat.py; llama.cpp, src/llama-sampler.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import ArrayLike

from samplerfuzz.samplers.mass import below_max, log_probability
from samplerfuzz.samplers.parameter import column, integer, real, whole
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Info, Stage, State
from samplerfuzz.samplers.top_k import TopK

_LOG_2 = np.float32(0.6931471805599453)
_RANKS = 100


@pytree
@dataclass(frozen=True)
class Mirostat(Stage):
    """−log₂ p ≤ μ, or the k that a Zipf law needs for it. Remembers μ float32 [B]."""

    tau: Any
    eta: Any
    version: Any

    memory_name: ClassVar[str] = "mirostat"

    def begin(self, rows: int) -> jax.Array:
        """Return 2τ."""
        return 2.0 * column("mirostat_tau", self.tau, rows)[:, 0]

    def accept(self, memory: jax.Array, tokens: jax.Array, info: Info) -> jax.Array:
        """Return μ − η(S − τ)."""
        rows, vocabulary = info["log_p"].shape
        taken = jnp.take_along_axis(info["log_p"], jnp.clip(tokens, 0, vocabulary - 1)[:, None], axis=-1)
        surprise = -taken / _LOG_2
        error = surprise - column("mirostat_tau", self.tau, rows)
        moved = memory - (column("mirostat_eta", self.eta, rows) * error)[:, 0]
        return jnp.where((tokens >= 0) & (surprise[:, 0] < jnp.inf), moved, memory)

    def process(self, z: jax.Array, state: State | None) -> tuple[jax.Array, Info]:
        """Cut at the bound."""
        rows = z.shape[0]
        mu = self.recall(state, rows)[:, None]
        version = whole(column("mirostat", self.version, rows))
        log_p = log_probability(z)
        k = lax.cond(jnp.any(version == 1), _ranks, lambda z, mu: jnp.full(mu.shape, z.shape[-1], jnp.int32), z, mu)
        largest, _ = TopK(jnp.where(version == 1, k, 0)[:, 0]).keep(z)
        bounded = (-log_p / _LOG_2 <= mu) | (below_max(z) >= 0)
        kept = jnp.where(version == 1, largest, bounded) | (version == 0)
        return jnp.where(kept, z, -jnp.inf), {"mu": mu[:, 0], "log_p": log_p}


def _ranks(z: jax.Array, mu: jax.Array) -> jax.Array:
    """Return k int32 [B, 1] of mirostat 1."""
    allowed = z > -jnp.inf
    ranked, _ = lax.top_k(below_max(z), min(_RANKS, z.shape[-1]))
    place = np.arange(1, ranked.shape[-1], dtype=np.float64)
    t = jnp.asarray(np.log((place + 1) / place), jnp.float32)[None]
    pair = ranked[:, 1:] > -jnp.inf
    gaps = jnp.where(pair, jnp.where(pair, ranked[:, :-1], 0.0) - jnp.where(pair, ranked[:, 1:], 0.0), 0.0)
    s = jnp.sum(t * gaps, axis=-1, keepdims=True) / jnp.maximum(jnp.sum(jnp.where(pair, t * t, 0.0), axis=-1, keepdims=True), 1e-30)
    log_n = jnp.log(jnp.sum(allowed, axis=-1, keepdims=True).astype(jnp.float32))
    log_k = (_log_zipf_factor(s - 1.0, log_n) + mu * _LOG_2) / jnp.maximum(s, jnp.finfo(jnp.float32).tiny)
    k = jnp.exp(jnp.clip(jnp.nan_to_num(log_k, nan=0.0), 0.0, 21.0))  # e²¹ is below 2³¹ and beyond any vocabulary
    return k.astype(jnp.int32)


def _log_zipf_factor(epsilon: jax.Array, log_n: jax.Array) -> jax.Array:
    """Return ln(ε/(1 − N^−ε)), which at ε = 0 is −ln ln N."""
    x = epsilon * log_n
    small = jnp.abs(x) < 1e-3
    safe = jnp.where(small, 1.0, x)
    # for x < 0: x/(1 − e^−x) = −x·e^x/(1 − e^x), so that e^−x does not overflow
    ratio = jnp.where(safe > 0, safe / -jnp.expm1(-jnp.abs(safe)), jnp.abs(safe) / -jnp.expm1(-jnp.abs(safe)))
    log_ratio = jnp.log(jnp.where(small, 1.0 + x / 2, ratio)) - jnp.where(small | (safe > 0), 0.0, jnp.abs(safe))
    return log_ratio - jnp.log(jnp.maximum(log_n, 1e-30))


def mirostat(mirostat_tau: ArrayLike, mirostat_eta: ArrayLike = 0.1, mirostat: ArrayLike = 2) -> Mirostat:
    """Bound the surprise of a token so that the mean surprise of the text comes to τ.

    μ₀ = 2τ; μ ← μ − η(−log₂ p − τ) after each token.

    Args:
      mirostat_tau: τ, bits, scalar or [B]; neutral 100.
      mirostat_eta: η, scalar or [B]; 0 leaves μ where it starts.
      mirostat: 1 or 2, the version, scalar or [B]; 0 is off.

    Returns:
      A stage that remembers μ; logits float32 of the shape given. Diagnostics: kept, mu, log_p (nats, [B, V]).

    Raises:
      ParameterError: not a number, or not one for each row.

    Policy: `≤` μ; ties are kept; the arg-max always stays; S from p before the cut.

    Source: arXiv 2007.14966.

    Example:
      >>> import jax.numpy as jnp
      >>> mirostat(1.0)(jnp.log(jnp.array([0.5, 0.25, 0.125, 0.125])))[0] > -jnp.inf
      Array([ True,  True, False, False], dtype=bool)
    """
    return Mirostat(real("mirostat_tau", mirostat_tau), real("mirostat_eta", mirostat_eta), integer("mirostat", mirostat))
