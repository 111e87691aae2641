"""The numbers of a step on the device: the float32 twin of module step, compiled into the decoding step that it watches.

Everything is a sum, a maximum or a count along the row; nothing is sorted. What would overflow is scaled by the range of the row first, what would
cancel is centred first: ψ(λ) = ln(1 + E[eˣ − 1 − x]) with x = λ(S − H), whose mean is 0, so no digit is lost where λ is small; for the smallest it is
the series of the central moments. Sums of float32 are taken a tile at a time (module samplers.tiles), which keeps them right to about 1e-6 at any vocabulary.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from samplerfuzz.safety.step import FACTORS, FIELDS, FLOOR, TILTS
from samplerfuzz.samplers import Chain, State, tiles
from samplerfuzz.samplers.mass import below_max, half_difference
from samplerfuzz.samplers.shortlist import marked, taken
from samplerfuzz.samplers.stage import Filter
from samplerfuzz.samplers.temperature import Temperature, divided

_LEAST_NORMAL = np.float32(2.0**-126)
_SMALL, _NEAR, _MOMENTS = 0.5, 0.1, 8
_ROOM, _PAYS, _BLOCK = 256, 16, 1024


@jax.jit
def step_statistics(logits: jax.Array, kept: jax.Array, token: jax.Array, temperature: Any) -> jax.Array:
    """Return the numbers of one step for each row.

    Args:
      logits: float [B, V], what the temperature divides; −inf is masked.
      kept: bool [B, V], the tokens that can be drawn.
      token: int32 [B], the tokens emitted; −1: none was.
      temperature: T, scalar or [B], any real number and ±inf.

    Returns:
      float32 [B, F] in the order of `step.FIELDS`; NaN for what is undefined, as `step.statistics_of` says.

    Example:
      >>> import jax.numpy as jnp
      >>> row = jnp.log(jnp.array([[0.5, 0.25, 0.25]]))
      >>> step_statistics(row, row > -jnp.inf, jnp.array([0]), 1.0)[0, :1].round(4)
      Array([1.0397], dtype=float32)
    """
    z = logits.astype(jnp.float32)
    z = jnp.where(jnp.abs(z) < _LEAST_NORMAL, 0.0, z)
    heat = jnp.broadcast_to(jnp.asarray(temperature, jnp.float32), z.shape[:1])[:, None]
    allowed = z != -jnp.inf
    inside = allowed & kept
    number, bad = tiles.count(inside), tiles.count(~(z < jnp.inf))
    nan = lax.cond(jnp.any(bad > 0), lambda: tiles.count(jnp.isnan(z)), lambda: bad)
    infinite = bad - nan
    refused = (nan > 0) | (infinite > 0) | (number == 0) | jnp.isnan(heat[:, 0])
    # a refused row is computed as one of zeros, so that nothing is raised by it, and blanked at the end
    clean = jnp.where(refused[:, None], 0.0, z)
    everything = (allowed & ~jnp.isnan(z)) | refused[:, None]
    among = inside | (refused[:, None] & (jnp.arange(z.shape[-1]) == 0))
    counters = {"kept": number, "nan": nan, "inf": infinite, "all_masked": number == 0}
    own = jnp.take_along_axis(among, jnp.maximum(token, 0)[:, None], axis=-1)[:, 0] & (token >= 0)
    at = jnp.where(own, token, -1)
    if z.shape[-1] > _PAYS * _ROOM:
        told = lax.cond(jnp.all(number <= _ROOM), _few, _of_the_set, clean, among, at, heat)
    else:
        told = _of_the_set(clean, among, at, heat)
    whole = jnp.all(number == tiles.count(everything))
    told["mass_removed"] = lax.cond(whole, lambda: jnp.zeros_like(heat[:, 0]), lambda: _mass_removed(clean, among, everything, heat))
    told["rank"] = _rank(clean, everything, jnp.maximum(token, 0)[:, None], heat)
    told |= {name: jnp.where(token < 0, jnp.nan, told[name]) for name in ("surprisal", "excess", "rank")}
    columns = [
        counters[name].astype(jnp.float32) if name in counters else jnp.where(refused, jnp.nan, told[name].astype(jnp.float32))
        for name in FIELDS
    ]
    return jnp.stack(columns, axis=-1)


def chain_statistics(chain: Chain, logits: jax.Array, final: jax.Array, token: jax.Array, state: State | None) -> jax.Array:
    """Return the numbers of a step of a chain, float32 [B, F].

    Where the chain holds a temperature and filters alone, they are those of the logits given at that temperature. Where another stage changes logits
    (a penalty, a bias, smoothing), they are those of the logits that it leaves, divided already: z stands for z/T then.

    Args:
      chain: the stages.
      logits: [B, V], what the chain was given.
      final: [B, V], what it made of them; −inf cannot be drawn.
      token: int32 [B], what was drawn.
      state: what the chain was given.
    """
    kept = final > -jnp.inf
    changing = [stage for stage in chain.stages if not isinstance(stage, Filter)]
    if all(isinstance(stage, Temperature) for stage in changing) and len(changing) <= 1:
        heat = changing[0].value if changing else 1.0  # type: ignore[attr-defined]
        return jnp.asarray(step_statistics(logits, kept, token, heat))
    unfiltered, _, _ = Chain(tuple(changing))(logits, state)
    return jnp.asarray(step_statistics(jnp.where(kept, final, unfiltered), kept, token, 1.0))


def _of_the_set(z: jax.Array, inside: jax.Array, at: jax.Array, heat: jax.Array) -> dict[str, jax.Array]:
    """Return what the tokens `inside` alone decide; `at` [B]: where the token emitted stands, −1 for one outside."""
    return {**_law(z, inside, at, heat), **_shape(z, inside)}


def _few(z: jax.Array, inside: jax.Array, token: jax.Array, heat: jax.Array) -> dict[str, jax.Array]:
    """Return the same from the set written one token behind the other: what filters leave is a small part of the row."""
    places, number = marked(inside, _ROOM)
    before = tiles.count(inside & (jnp.arange(z.shape[-1], dtype=jnp.int32)[None] < token[:, None]))
    there = jnp.arange(_ROOM, dtype=jnp.int32)[None] < number[:, None]
    few = jnp.where(there, taken(z, jnp.minimum(places, z.shape[-1] - 1)), 0.0)
    return _of_the_set(few, there, jnp.where(token < 0, token, before), heat)


def _law(z: jax.Array, inside: jax.Array, at: jax.Array, heat: jax.Array) -> dict[str, jax.Array]:
    exact = _exponents(z, inside, heat)
    s = jnp.maximum(exact, FLOOR)
    # written out once: what follows are many sums of it
    weight, s = lax.optimization_barrier((jnp.where(inside, jnp.exp(s), 0.0), s))
    total = tiles.total(weight)
    mean = tiles.total(weight * s) / total
    log_total = jnp.log(total)
    entropy = jnp.maximum(log_total - mean, 0.0)
    size = tiles.count(inside)
    own = jnp.where(at < 0, -jnp.inf, jnp.take_along_axis(exact, jnp.maximum(at, 0)[:, None], axis=-1)[:, 0])
    far = [tilt for tilt in TILTS if abs(tilt) >= _NEAR]

    def terms(weight: jax.Array, s: jax.Array) -> list[jax.Array]:
        away = mean[:, None] - s
        powers = itertools.accumulate([away] * (_MOMENTS - 1), jnp.multiply, initial=weight * away)
        tilted = [part for tilt in far for part in _tilted(weight, away, mean, tilt)]
        return [*list(powers)[1:], *tilted]

    sums = [part / total for part in _swept(terms, weight, s)]
    moments = dict(enumerate(sums[: _MOMENTS - 1], 2))
    lifted = dict(zip(far, zip(sums[_MOMENTS - 1 :: 2], sums[_MOMENTS::2], strict=True), strict=True))
    found = {
        "entropy": entropy,
        "relative_entropy": jnp.where(size > 1, entropy / jnp.log(size.astype(jnp.float32)), jnp.nan),
        "varentropy": moments[2],
        "log_max_min_ratio": 0.0 - jnp.min(jnp.where(inside, exact, 0.0), axis=-1),
        "surprisal": log_total - own,
        "excess": mean - own,
    }
    for factor, tilt in zip(FACTORS, TILTS, strict=True):
        if abs(tilt) < _NEAR:
            beyond = _series(moments, tilt, 0)
            leaning = _series(moments, tilt, 1)
        else:
            beyond, leaning = lifted[tilt]
        found[f"psi[{factor:.3g}]"] = jnp.log1p(beyond)
        found[f"slope[{factor:.3g}]"] = leaning / (1 + beyond)
    return found


def _series(moments: dict[int, jax.Array], tilt: float, order: int) -> jax.Array:
    """Return E[eˣ − 1 − x] for x = tilt·(S − H) from the central moments, or its derivative by the tilt."""
    terms = [moment * np.float32(tilt ** (power - order) / math.factorial(power - order)) for power, moment in moments.items()]
    return functools.reduce(jnp.add, terms)


def _swept(terms: Callable[..., list[jax.Array]], *columns: jax.Array) -> list[jax.Array]:
    """Return the sums along the row of what `terms` makes of the columns [B, V], a block at a time: one read for all of them. Terms of zeros are zero."""
    blocks = [tiles.tiled(column, min(_BLOCK, column.shape[-1]), 0) for column in columns]

    def add(index: jax.Array, sums: list[jax.Array]) -> list[jax.Array]:
        found = terms(*(lax.dynamic_index_in_dim(block, index, axis=1, keepdims=False) for block in blocks))
        return [total + more for total, more in zip(sums, found, strict=True)]

    none = [jnp.zeros_like(x) for x in terms(*(block[:, 0] for block in blocks))]
    return [tiles.total(part) for part in lax.fori_loop(0, blocks[0].shape[1], add, none)]


def _tilted(weight: jax.Array, away: jax.Array, mean: jax.Array, tilt: float) -> tuple[jax.Array, jax.Array]:
    """Return the terms of E[eˣ − 1 − x] and E[(S − H)(eˣ − 1)] for x = tilt·(S − H), in which eˣ p is a power of p that square roots give."""
    root = jnp.sqrt(jnp.sqrt(weight))
    power = functools.reduce(jnp.multiply, [root] * round(4 * (1 - tilt)))
    lifted = power * jnp.exp(np.float32(tilt) * mean)[:, None]
    x = np.float32(tilt) * away
    series = 0.5 * x * x * (1 + x / 3 * (1 + x / 4 * (1 + x / 5 * (1 + x / 6))))
    return jnp.where(jnp.abs(x) < _SMALL, weight * series, lifted - weight * (1 + x)), (lifted - weight) * away


def _exponents(z: jax.Array, inside: jax.Array, heat: jax.Array) -> jax.Array:
    """Return z/T [B, V] up to a constant a row: 0 for the most probable, −inf outside the set."""
    masked = jnp.where(inside, z, -jnp.inf)
    return below_max(jnp.where(inside, divided(masked, heat), -jnp.inf))


def _mass_removed(z: jax.Array, inside: jax.Array, allowed: jax.Array, heat: jax.Array) -> jax.Array:
    weight = lax.optimization_barrier(jnp.exp(_exponents(z, allowed, heat)))
    removed = tiles.total(jnp.where(inside, 0.0, weight))
    return removed / (removed + tiles.total(jnp.where(inside, weight, 0.0)))


def _rank(z: jax.Array, allowed: jax.Array, token: jax.Array, heat: jax.Array) -> jax.Array:
    own = jnp.take_along_axis(z, token, axis=-1)
    # by bits: a subnormal T < 0 may be compared as 0, and −0 is greedy
    inverted = lax.bitcast_convert_type(heat, jnp.uint32) > np.uint32(0x80000000)
    better = jnp.where(inverted, z < own, z > own)
    masked = ~jnp.take_along_axis(allowed, token, axis=-1)
    return tiles.count(allowed & (better | masked))


def _shape(z: jax.Array, inside: jax.Array) -> dict[str, jax.Array]:
    """Return skewness and excess kurtosis: the row is brought to [−1, 1] first, then centred, and what the centre is off is taken out."""
    low = jnp.min(jnp.where(inside, z, jnp.inf), axis=-1, keepdims=True)
    high = jnp.max(jnp.where(inside, z, -jnp.inf), axis=-1, keepdims=True)
    reach = half_difference(high, low)
    size = tiles.count(inside).astype(jnp.float32)[:, None]
    scaled = (z - (0.5 * high + 0.5 * low)) / jnp.maximum(reach, _LEAST_NORMAL)
    scaled = jnp.where(inside, jnp.clip(scaled, -1.5, 1.5), 0.0)
    d = jnp.where(inside, scaled - tiles.total(scaled)[:, None] / size, 0.0)
    off, second, third, fourth = (part / size[:, 0] for part in _swept(lambda d: [d, d**2, d**3, d**4], d))
    m2 = second - off**2
    m3 = third - 3 * off * second + 2 * off**3
    m4 = fourth - 4 * off * third + 6 * off**2 * second - 3 * off**4
    flat = (high == low)[:, 0] | (m2 <= 0)
    m2 = jnp.where(flat, 1.0, m2)
    return {
        "skewness": jnp.where(flat, jnp.nan, m3 / (m2 * jnp.sqrt(m2))),
        "excess_kurtosis": jnp.where(flat, jnp.nan, m4 / m2**2 - 3),
    }
