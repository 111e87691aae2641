"""Real rows: logits of the embedded tiny LLaMA."""

from __future__ import annotations

import numpy as np


def model_rows(count: int = 256) -> np.ndarray:
    """Return [count, V] float32 logits of the embedded model over built-in prompts."""
    from samplerfuzz.llama.embedded import tiny_logits

    return np.asarray(tiny_logits(count), np.float32)
