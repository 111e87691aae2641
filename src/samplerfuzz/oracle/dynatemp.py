"""Dynamic temperature: z / T', T' = lo + (hi − lo)·(H / ln N)^γ with lo = max(0, T − r), hi = T + r (kalomaze).

T is `temperature`, r `dynatemp_range`, γ `dynatemp_exponent` (both 1 when not given). The stage owns the temperature: it divides once. H in nats
and N are those of the tokens that earlier stages left. Sources: koboldcpp pull request 600; llama.cpp pull requests 4972 and 5352,
llama_sampler_temp_ext; text-generation-webui takes lo and hi themselves. llama.cpp counts every candidate that it still has in N, one
that is masked too; text-generation-webui those above −∞. r <= 0 is plain temperature. T = 0 with r > 0 ranges over (0, r), or is greedy where T = 0 is looked at
first. T' = 0 is greedy. T < 0 or infinite with r > 0 has no agreed meaning. One token has no entropy to speak of and keeps probability 1.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief
from samplerfuzz.oracle.conventions import SMALLEST_NORMAL, Convention, Occasion, conventions
from samplerfuzz.oracle.entropy import information
from samplerfuzz.oracle.temperature import NEGATIVE, arg_max, divided


def _zero_with_a_range(at: Occasion) -> bool:
    temperature = at.parameters.get("temperature")
    return temperature is not None and bool(((temperature == 0) & (at["dynatemp_range"] > 0)).any())


@conventions(
    Convention(name="count", values=("allowed", "vocabulary", "candidates"), matters=lambda at: bool((at["dynatemp_range"] > 0).any())),
    Convention(name="zero", values=("range", "greedy"), matters=_zero_with_a_range),
    NEGATIVE,
)
def dynatemp(
    belief: Belief,
    *,
    dynatemp_range: np.ndarray,
    count: str,
    zero: str,
    negative: str,
    temperature: np.ndarray | None = None,
    dynatemp_exponent: np.ndarray | None = None,
) -> Belief:
    """Divide by a temperature between `temperature` ∓ `dynatemp_range` [R] that follows the entropy."""
    t = np.ones_like(dynatemp_range) if temperature is None else temperature
    exponent = np.ones_like(dynatemp_range) if dynatemp_exponent is None else dynatemp_exponent
    plain = divided(belief, t, negative=negative)
    ranged = (dynatemp_range > 0) & ~((t == 0) & (zero == "greedy"))
    if not ranged.any():
        return plain
    spread = _between(belief, *_temperatures(belief, t, dynatemp_range, exponent, count=count))
    spread = spread.where((t >= 0) & np.isfinite(t), _anything(belief))
    return spread.where(ranged, plain)


def _temperatures(
    belief: Belief, t: np.ndarray, spread: np.ndarray, exponent: np.ndarray, *, count: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the nominal temperature T' [R] and its bounds."""
    known, size = information(belief), np.full(len(t), belief.z.shape[-1])
    fewest = size if count == "vocabulary" else belief.must.sum(-1)
    # how many masked tokens are still on the list is the engine's own affair
    most = belief.possible.sum(-1) if count == "allowed" else size
    unit = belief.arithmetic.unit
    lo, hi = np.maximum(0, t - spread), t + spread
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shares = (
            known.entropy / np.log(np.maximum(most, 2)),
            np.maximum(known.entropy - known.entropy_error, 0) / np.log(np.maximum(most, 2)),
            (known.entropy + known.entropy_error) / np.log(np.maximum(fewest, 2)),
        )
        nominal, least, largest = (lo + np.nan_to_num((hi - lo) * share**exponent, nan=0.0, posinf=1e300) for share in shares)
        rounding = 16 * unit * (1 + exponent)
        return nominal, least * (1 - rounding) - unit * t, largest * (1 + rounding) + unit * t


def _between(belief: Belief, nominal: np.ndarray, least: np.ndarray, most: np.ndarray) -> Belief:
    """Divide by a temperature [R] that is known up to an interval; where it may be 0 the arg-max may stay alone."""
    safe = np.maximum(nominal, SMALLEST_NORMAL)
    result = divided(belief, safe, negative="invert")
    least, most = np.maximum(np.minimum(least, safe), 0)[:, None], np.maximum(most, safe)[:, None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gap = np.where(belief.possible, -np.maximum(result.z, -1e300), 0) * safe[:, None]
        error = result.error * safe[:, None] / least + gap * np.maximum(1 / least - 1 / safe[:, None], 1 / safe[:, None] - 1 / most)
    error = np.where((gap == 0) & (result.error == 0), 0.0, np.where(np.isnan(error), np.inf, error))
    result = result.replaced(error=np.where(belief.possible, error, 0.0))
    alone = arg_max(belief)
    must = result.must & alone.must
    greedy = result.replaced(must=must, may=result.possible & ~must, least=np.ones_like(result.least), greedy=np.ones_like(result.greedy))
    return greedy.where(least[:, 0] <= SMALLEST_NORMAL, result)


def _anything(belief: Belief) -> Belief:
    """Return the belief of rows that have no agreed answer."""
    return belief.replaced(
        must=np.zeros_like(belief.must),
        may=belief.possible,
        error=np.where(belief.possible, np.inf, 0.0),
        least=np.ones_like(belief.least),
        greedy=np.ones_like(belief.greedy),
    )
