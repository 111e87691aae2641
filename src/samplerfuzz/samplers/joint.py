"""Joint filters: each measured on the same row, a token stays if all of them keep it.

One after another, top-p measures the mass of what top-k left; joint, it measures the whole row, as SGLang and keras-hub do. Neutral: no
filter. Never empty: where the filters exclude each other, the first one decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.stage import Filter, Info


@pytree
@dataclass(frozen=True)
class Joint(Filter):
    """What every filter keeps."""

    filters: tuple[Filter, ...]

    def keep(self, z: jax.Array) -> tuple[jax.Array, Info]:
        """Ask each filter about the same row."""
        kept, first = z > -jnp.inf, z > -jnp.inf
        for position, item in enumerate(self.filters):
            answer = item.process(z, None)[0] > -jnp.inf
            kept = kept & answer
            first = answer if position == 0 else first
        some = jnp.any(kept, axis=-1, keepdims=True)
        return jnp.where(some, kept, first), {}


def joint(*filters: Filter) -> Joint:
    """Apply filters to the same row rather than one after another.

    Args:
      filters: stages that remove tokens and change no logit.

    Returns:
      A stage; logits float32 of the shape given. Diagnostics: kept.

    Raises:
      ParameterError: a stage that is no filter.

    Policy: a token stays if all filters keep it; if none is left, the first filter decides.

    Source: SGLang 0.5.23, `top_k_top_p_min_p_sampling_from_probs_torch`; keras-hub 0.32.0, `TopPSampler`.

    Example:
      >>> import jax.numpy as jnp
      >>> from samplerfuzz import samplers
      >>> z = jnp.log(jnp.array([0.4, 0.3, 0.2, 0.1]))
      >>> chained = samplers.chain(samplers.top_k(2), samplers.top_p(0.5))
      >>> (chained(z)[0] > -jnp.inf).tolist(), (joint(samplers.top_k(2), samplers.top_p(0.5))(z)[0] > -jnp.inf).tolist()
      ([True, False, False, False], [True, True, False, False])
    """
    for item in filters:
        if not isinstance(item, Filter):
            raise ParameterError(f"joint was given {type(item).__name__}; expected filters: stages that only remove tokens")
    return Joint(tuple(filters))
