"""The numbers of a step on the device: the float32 twin of module step, compiled into the decoding step that it watches.

Everything is a sum, a maximum or a count along the row; nothing is sorted. What would overflow is scaled by the range of the row first, what would
cancel is centred first: ψ(λ) = ln(1 + E[eˣ − 1]) with x = λ(S − H), whose mean is 0; for small λ it is the series of the central moments, which loses no
digit. Sums that belong together are taken in one read of the row, a tile at a time (module samplers.tiles): right to about 1e-6 at any vocabulary.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from samplerfuzz.safety.step import FACTORS, FIELDS, FLOOR, TILTS
from samplerfuzz.samplers import Chain, State, tiles
from samplerfuzz.samplers.greedy import arg_max_only
from samplerfuzz.samplers.mass import half_difference
from samplerfuzz.samplers.stage import Filter
from samplerfuzz.samplers.temperature import Temperature, finite_ratio

_LEAST_NORMAL = np.float32(2.0**-126)
_MOMENTS = 8
_OUTSIDE = 2.0  # what lies in a row is brought to 1.5 at most
_FAR = [tilt for tilt in TILTS if abs(tilt) >= 0.1]  # for the others the series of the moments ends soon enough


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
    heat = jnp.broadcast_to(jnp.asarray(temperature, jnp.float32), z.shape[:1])
    emitted = jnp.maximum(token, 0)[:, None]
    own = jnp.take_along_axis(z, emitted, axis=-1)[:, 0]
    every, bad, better = tiles.swept(_counted, (z,), (own, heat))
    poisoned = bad > 0
    # XLA looks into no branch when it fuses: what comes of one is computed once, and not again for each of its sums
    marked, number, nan = lax.cond(jnp.any(poisoned), _marked_but_poisoned, _marked, z, kept, bad)
    refused = poisoned | (number == 0) | jnp.isnan(heat)
    at = jnp.where(jnp.take_along_axis(marked, emitted, axis=-1)[:, 0] > -jnp.inf, token, -1)
    told = _of_the_set(marked, at, heat)
    whole = jnp.all((number == every) | refused)
    told["mass_removed"] = lax.cond(
        whole, lambda z, marked, heat: jnp.zeros_like(heat), _mass_removed, jnp.where(poisoned[:, None], 0.0, z), marked, heat
    )
    told["rank"] = jnp.where(own == -jnp.inf, every, better)
    told |= {name: jnp.where(token < 0, jnp.nan, told[name]) for name in ("surprisal", "excess", "rank")}
    counters = {"kept": number, "nan": nan, "inf": bad - nan, "all_masked": number == 0}
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


def _counted(z: jax.Array, own: jax.Array, heat: jax.Array) -> list[jax.Array]:
    """Return what counts as allowed, as NaN or +inf, and as more probable than the token emitted."""
    allowed = z != -jnp.inf
    better = jnp.where(_inverts(heat), z < own, z > own)
    return [mask.astype(jnp.int32) for mask in (allowed, ~(z < jnp.inf), allowed & better)]


def _marked(z: jax.Array, kept: jax.Array, bad: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the logits of the set, −inf outside, the number of its tokens, and the number of NaN, for rows without a bad entry."""
    marked = jnp.where(kept, z, -jnp.inf)
    return marked, tiles.count(marked > -jnp.inf), bad


def _marked_but_poisoned(z: jax.Array, kept: jax.Array, bad: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the same where some rows have bad entries: they are one zero instead, so that nothing is raised by them, and blanked at the end."""
    one = jnp.where(jnp.arange(z.shape[-1]) == 0, 0.0, -jnp.inf)
    marked = jnp.where((bad > 0)[:, None], one, jnp.where(kept, z, -jnp.inf))
    return marked, tiles.count(kept & (z != -jnp.inf)), tiles.count(jnp.isnan(z))


def _of_the_set(z: jax.Array, at: jax.Array, heat: jax.Array) -> dict[str, jax.Array]:
    """Return what the set alone decides, whose logits are above −inf; `at` [B]: where the token emitted stands, −1 for one outside."""
    high = jnp.max(z, axis=-1)
    empty = high == -jnp.inf
    low, high = jnp.where(empty, 0.0, jnp.min(jnp.where(z > -jnp.inf, z, jnp.inf), axis=-1)), jnp.where(empty, 0.0, high)
    root, s, scaled = _weighted(z, heat, low, high)
    total, weighted = tiles.swept(lambda root, s: [root**4, root**4 * s], (root, s))
    middle, number = tiles.swept(_centre, (scaled,))
    total, number = jnp.where(empty, 1.0, total), jnp.where(empty, 1.0, number)
    mean, log_total = weighted / total, jnp.log(total)
    mine, its_s = (jnp.take_along_axis(x, jnp.maximum(at, 0)[:, None], axis=-1)[:, 0] for x in (z, s))
    own, least = _unfloored(jnp.where(at < 0, -jnp.inf, mine), its_s, number, heat, low, high)
    # apart: in one loop so many sums would be slower
    moments = [part / total for part in tiles.swept(_central_moments, (root, s), (mean,))]
    lifted = [part / total for part in tiles.swept(_lifted, (root, s), (mean,))]
    entropy = jnp.maximum(log_total - mean, 0.0)
    return {
        "entropy": entropy,
        "relative_entropy": jnp.where(number > 1, entropy / jnp.log(number), jnp.nan),
        "varentropy": moments[0],
        "log_max_min_ratio": 0.0 - least,
        "surprisal": log_total - own,
        "excess": mean - own,
        **_tilted(moments, lifted),
        **_shape([part / number for part in tiles.swept(_powers, (scaled,), (middle / number,))], low == high),
    }


def _central_moments(root: jax.Array, s: jax.Array, mean: jax.Array) -> list[jax.Array]:
    """Return the terms of E[(S − H)ᵏ], k = 2, 3, …"""
    away = mean - s
    return list(itertools.accumulate([away] * (_MOMENTS - 1), jnp.multiply, initial=root**4 * away))[1:]


def _lifted(root: jax.Array, s: jax.Array, mean: jax.Array) -> list[jax.Array]:
    """Return the terms of E[eˣ − 1] and E[(S − H)(eˣ − 1)] for x = λ(S − H) and every far λ."""
    beyond = [root ** round(4 * (1 - tilt)) * jnp.exp(np.float32(tilt) * mean) - root**4 for tilt in _FAR]
    return [term for part in beyond for term in (part, part * (mean - s))]


def _centre(scaled: jax.Array) -> list[jax.Array]:
    inside = scaled < _OUTSIDE
    return [jnp.where(inside, scaled, 0.0), inside.astype(jnp.float32)]


def _powers(scaled: jax.Array, centre: jax.Array) -> list[jax.Array]:
    d = jnp.where(scaled < _OUTSIDE, scaled - centre, 0.0)
    return [d**power for power in (1, 2, 3, 4)]


def _tilted(moments: list[jax.Array], lifted: list[jax.Array]) -> dict[str, jax.Array]:
    far = dict(zip(_FAR, zip(lifted[::2], lifted[1::2], strict=True), strict=True))
    found = {}
    for factor, tilt in zip(FACTORS, TILTS, strict=True):
        beyond, leaning = far[tilt] if tilt in far else (_series(moments, tilt, 0), _series(moments, tilt, 1))
        found[f"psi[{factor:.3g}]"] = jnp.log1p(beyond)
        found[f"slope[{factor:.3g}]"] = leaning / (1 + beyond)
    return found


def _series(moments: list[jax.Array], tilt: float, order: int) -> jax.Array:
    """Return E[eˣ − 1 − x] for x = tilt·(S − H) from the central moments, or its derivative by the tilt."""
    terms = [moment * np.float32(tilt ** (power - order) / math.factorial(power - order)) for power, moment in enumerate(moments, 2)]
    return functools.reduce(jnp.add, terms)


def _shape(means: list[jax.Array], flat: jax.Array) -> dict[str, jax.Array]:
    """Return skewness and excess kurtosis from the means of powers about a centre; what the centre is off is taken out."""
    off, second, third, fourth = means
    m2 = second - off**2
    m3 = third - 3 * off * second + 2 * off**3
    m4 = fourth - 4 * off * third + 6 * off**2 * second - 3 * off**4
    flat = flat | (m2 <= 0)
    m2 = jnp.where(flat, 1.0, m2)
    return {
        "skewness": jnp.where(flat, jnp.nan, m3 / (m2 * jnp.sqrt(m2))),
        "excess_kurtosis": jnp.where(flat, jnp.nan, m4 / m2**2 - 3),
    }


def _weighted(z: jax.Array, heat: jax.Array, low: jax.Array, high: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return three numbers of each token of the set of logits above −inf, which lie between `low` and `high` [B].

    Returns:
      [B, V] each: the fourth root of its weight, of which powers give those of the tilted laws, 0 outside; z/T up to a constant a row, 0 for the most
      probable, FLOOR at least and outside; its place between the ends of the row as −1 and 1, _OUTSIDE outside.
    """
    anchor, size = jnp.where(_inverts(heat), low, high)[:, None], jnp.abs(heat)[:, None]
    magnitude = lax.bitcast_convert_type(size, jnp.uint32)

    def finished(ratios: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        inside = z > -jnp.inf
        s = jnp.where(inside, jnp.maximum(ratios, FLOOR), FLOOR)
        return jnp.where(inside, jnp.exp(s / 4), 0.0), s, jnp.where(inside, _scaled(z, low[:, None], high[:, None]), _OUTSIDE)

    def extreme() -> tuple[jax.Array, jax.Array, jax.Array]:
        first = arg_max_only(z) > -jnp.inf
        return finished(jnp.where(magnitude == 0, jnp.where(first, 0.0, FLOOR), finite_ratio(z, anchor, magnitude)))

    ordinary = jnp.all((size >= _LEAST_NORMAL) & (size < 2.0**100)) & jnp.all(high - low < jnp.inf)
    return lax.cond(ordinary, lambda: finished(-jnp.abs(z - anchor) / size), extreme)


def _unfloored(
    z: jax.Array, s: jax.Array, number: jax.Array, heat: jax.Array, low: jax.Array, high: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return z/T as above, without the floor, of one token of each row [B] (−inf: outside the set) and of the least probable of the set."""
    magnitude = lax.bitcast_convert_type(jnp.abs(heat), jnp.uint32)
    anchor, far = jnp.where(_inverts(heat), low, high), jnp.where(_inverts(heat), high, low)
    own, least = (finite_ratio(x, anchor, magnitude) for x in (z, far))
    own = jnp.where(magnitude == 0, jnp.where(s == 0.0, 0.0, -jnp.inf), own)
    return jnp.where(z == -jnp.inf, -jnp.inf, own), jnp.where(magnitude == 0, jnp.where(number > 1, -jnp.inf, 0.0), least)


def _inverts(heat: jax.Array) -> jax.Array:
    """Return where T < 0, by bits: a subnormal T may be compared as 0, and −0 is greedy."""
    return lax.bitcast_convert_type(heat, jnp.uint32) > np.uint32(0x80000000)


def _scaled(z: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
    """Return the row brought to [−1, 1]."""
    return jnp.clip((z - (0.5 * high + 0.5 * low)) / jnp.maximum(half_difference(high, low), _LEAST_NORMAL), -1.5, 1.5)


def _mass_removed(z: jax.Array, marked: jax.Array, heat: jax.Array) -> jax.Array:
    low, high = jnp.min(jnp.where(z == -jnp.inf, jnp.inf, z), axis=-1), jnp.max(z, axis=-1)
    root, _, _ = _weighted(z, heat, low, high)
    inside, removed = tiles.swept(
        lambda root, marked: [jnp.where(which, root**4, 0.0) for which in (marked > -jnp.inf, marked == -jnp.inf)], (root, marked)
    )
    return removed / (removed + inside)
