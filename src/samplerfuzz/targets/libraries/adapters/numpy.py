"""NumPy: what people draw tokens with when nothing else is at hand, on the softmax of the logits in float64."""

import numpy as np

import samplerfuzz as sf

LACKS = {}


def version():
    return f"numpy {np.__version__}"


def softmax(logits):
    z = logits.astype(np.float64)
    p = np.exp(z - z.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


@sf.target(order=[], returns="tokens")
def choice(logits, seed):
    """numpy.random.Generator.choice"""
    random = np.random.default_rng(seed)
    return np.array([random.choice(len(p), p=p) for p in softmax(logits)])


@sf.target(order=[], returns="tokens")
def legacy_choice(logits, seed):
    """numpy.random.RandomState.choice"""
    random = np.random.RandomState(seed % 2**32)
    return np.array([random.choice(len(p), p=p) for p in softmax(logits)])


@sf.target(order=[], returns="tokens")
def multinomial(logits, seed):
    """numpy.random.Generator.multinomial of one trial, all rows at once"""
    return np.random.default_rng(seed).multinomial(1, softmax(logits)).argmax(-1)
