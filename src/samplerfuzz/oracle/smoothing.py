"""Smoothing (quadratic sampling): with δ = z − max z, z' = max z − k·f·δ² + s·f·δ³, k = (3 − c)/2, s = (c − 1)/2 (kalomaze).

f is `smoothing_factor`, c `smoothing_curve` (1 when it is not given: the quadratic alone). Sources: text-generation-webui pull requests 5403
(quadratic) and 5551 (the curve), modules/sampler_hijack.py; koboldcpp applies it inside its temperature, after the division. f = 0
is off, f < 0 has no agreed meaning. 1 <= c <= 3 keeps the order of the logits; beyond 3 tokens just below the maximum rise above it, by the
formula. The maximum is of the row, of what earlier stages left; a masked token stays masked.
"""

from __future__ import annotations

import numpy as np

from samplerfuzz.oracle.belief import Belief


def smoothing(belief: Belief, *, smoothing_factor: np.ndarray, smoothing_curve: np.ndarray | None = None) -> Belief:
    """Bend the logits below the maximum by `smoothing_factor` [R] and `smoothing_curve` [R]."""
    curve = np.ones_like(smoothing_factor) if smoothing_curve is None else smoothing_curve
    possible, unit = belief.possible, belief.arithmetic.unit
    z = np.where(possible, belief.z, 0.0)
    top = np.where(possible, belief.z, -np.inf).max(-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    f, square, cube = smoothing_factor[:, None], ((3 - curve) / 2)[:, None], ((curve - 1) / 2)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        gap = np.where(possible, top - z, 0.0)
        # where earlier stages left the maximum open it may be that of any token that may be it
        low = np.where(belief.must, z - belief.error, -np.inf).max(-1, keepdims=True)
        high = np.where(possible, z + belief.error, -np.inf).max(-1, keepdims=True)
        moved = belief.error + np.maximum(np.maximum(high - top, top - low), 0) + 2 * unit * (np.abs(z) + np.abs(top))
        bent = -f * gap**2 * (square + cube * gap)
        reach = gap + moved
        terms = np.abs(f) * reach**2 * (np.abs(square) + np.abs(cube) * reach)
        slope = np.abs(f) * reach * (2 * np.abs(square) + 3 * np.abs(cube) * reach)
        error = slope * moved + 16 * unit * terms + 2 * unit * np.abs(top)
        lost = ~np.isfinite(error) | (terms > belief.arithmetic.largest / 64)
    same = (gap == 0) & (moved == 0)
    error = np.where(same, 0.0, np.where(lost, np.inf, error))
    bent = np.clip(np.nan_to_num(bent, nan=0.0), -1e300, 1e300)
    changed = belief.replaced(z=np.where(possible, bent, -np.inf), error=np.where(possible, error, 0.0))
    return changed.where(smoothing_factor != 0, belief)
