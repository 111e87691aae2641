"""What every technique that filters keeps of a row, at inverse temperatures from −∞ through 0 to ∞.

The techniques are the registry's, each with the value that stands there as an example. One that remembers is at its first step, and one that tosses a
coin does what it does when the coin says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from samplerfuzz import samplers
from samplerfuzz.core.registry import TECHNIQUES
from samplerfuzz.probe.exact import tempered
from samplerfuzz.probe.reached import reached

# a third of an octave: 1/4, 1/2, 1, 2 and 4 are among them, and |T| is 0.1 to 10
_INNER = 2.0 ** (np.arange(-10, 11) / 3)
KEPT_BETAS = np.array([-np.inf, *-_INNER[::-1], 0.0, *_INNER, np.inf])


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What one technique keeps of a row at `KEPT_BETAS`.

    Attributes:
      technique: its name.
      parameters: what it was given.
      count: [K] tokens.
      mass: [K] their probability.
      same: whether it keeps the same ones at every T > 0.
    """

    technique: str
    parameters: Mapping[str, float]
    count: np.ndarray
    mass: np.ndarray
    same: bool


@cache
def examples() -> dict[str, dict[str, float]]:
    """Return technique -> its parameters, of every technique that filters."""
    return {
        name: {p.name: p.example for p in item.parameters if p.example is not None} for name, item in TECHNIQUES.items() if item.filters
    }


def kept_of(logits: np.ndarray) -> list[Kept]:
    """Return what every technique keeps of the row [V]."""
    stages = tuple(samplers.build([name], params) for name, params in examples().items())
    kept = np.asarray(_kept(stages, *reached(logits, KEPT_BETAS)))
    p = tempered(logits, KEPT_BETAS).p
    positive = np.isfinite(KEPT_BETAS) & (KEPT_BETAS > 0)
    return [
        Kept(
            technique=name,
            parameters=params,
            count=which.sum(-1),
            mass=np.where(which, p, 0.0).sum(-1),
            same=bool((which[positive] == which[positive][0]).all()),
        )
        for (name, params), which in zip(examples().items(), kept, strict=True)
    ]


@jax.jit
def _kept(stages: tuple[samplers.Chain, ...], rows: jax.Array, temperature: jax.Array) -> jax.Array:
    """Return bool [F, K, V]: which tokens each stage keeps of the rows [K, V] at these temperatures [K]."""
    z = samplers.temperature(temperature)(rows, None)[0]
    return jnp.stack([stage(z, None)[0] > -jnp.inf for stage in stages])
