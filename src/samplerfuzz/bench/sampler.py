"""The function that `bench fuzz` fuzzes beside the built-in samplers: temperature and top-k on whole arrays."""

import numpy as np

import samplerfuzz as sf


@sf.target(order=["temperature", "top_k"], returns="logits", per_row=True)
def temperature_and_top_k(logits: np.ndarray, temperature: np.ndarray, top_k: np.ndarray) -> np.ndarray:
    """Return the logits over T, those below the k-th largest removed; k <= 0 and k >= V keep all.

    Raises:
      ValueError: NaN, +inf, a row without finite logits, T <= 0 or not finite.
    """
    if not (logits < np.inf).all() or not (logits > -np.inf).any(-1).all():
        raise ValueError("logits")
    if not ((temperature > 0) & (temperature < np.inf)).all():
        raise ValueError("temperature")
    size = logits.shape[1]
    k = np.where(top_k <= 0, size, np.minimum(top_k, size)).astype(np.int64)
    with np.errstate(all="ignore"):
        z = np.where(logits > -np.inf, np.maximum(logits.astype(np.float64) / temperature[:, None], -1e300), -np.inf)
    cut = np.take_along_axis(np.sort(z, -1), size - k[:, None], -1)
    return np.where(z >= cut, z, -np.inf)
