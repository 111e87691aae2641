"""Kept ids and probabilities of a row of logits, in Python numbers."""

import math


def softmax(row):
    """Return the ids with probability and the probabilities of a row of logits."""
    row = [float(z) for z in row]
    if any(math.isnan(z) for z in row) or max(row) == -math.inf:
        return [i for i, z in enumerate(row) if z > -math.inf], [math.nan] * len(row)
    weights = [math.exp(z - max(row)) if z > -math.inf else 0.0 for z in row]
    return [i for i, z in enumerate(row) if z > -math.inf], [w / sum(weights) for w in weights]


def normalised(weights):
    """Return the ids with weight and the probabilities of a row of weights."""
    weights = [float(w) for w in weights]
    total = sum(weights)
    return [i for i, w in enumerate(weights) if w > 0], [w / total if total else math.nan for w in weights]


def one(token, size):
    """Return a row that has all its probability on one token."""
    return [int(token)], [1.0 if i == int(token) else 0.0 for i in range(size)]


def drawn(tokens, size):
    """Return the ids that were drawn, and no probabilities: what is never drawn in so many draws was removed.

    Raises:
      ValueError: an id that is none.
    """
    if not all(0 <= token < size for token in tokens):
        raise ValueError("a token outside the vocabulary was drawn")
    return sorted(set(tokens)), None
