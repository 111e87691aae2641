"""What the embedded model was trained on: how often its training met each token. The ground truth for whoever looks for under-trained tokens."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from samplerfuzz.core.errors import ModelError
from samplerfuzz.llama.models import DEFAULT, find

RARE = 10


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Token counts of a training.

    Attributes:
      counts: [V] int64, how often each id stood in the training windows.
    """

    counts: np.ndarray

    @property
    def never(self) -> np.ndarray:
        """[V] bool: the training never met the token."""
        return self.counts == 0

    @property
    def rare(self) -> np.ndarray:
        """[V] bool: it met the token 1 to 10 times."""
        return (self.counts > 0) & (self.counts <= RARE)


def embedded_truth() -> Truth:
    """Return the counts of the embedded model.

    Raises:
      ModelError: the file is damaged.
    """
    path = find(DEFAULT).path / "truth.json"
    try:
        counts = np.array(json.loads(path.read_text(encoding="utf-8"))["counts"], np.int64)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: expected JSON with `counts`, one integer a token ({error}); install samplerfuzz again") from error
    return Truth(counts=counts)
