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


@sf.target(order=[], returns="tokens")
def choice_float32(logits, seed):
    """numpy.random.Generator.choice of float32 probabilities"""
    random = np.random.default_rng(seed)
    return np.array([random.choice(len(p), p=p) for p in softmax(logits).astype(np.float32)])


@sf.target(order=[], returns="tokens")
def choice_without_replacement(logits, seed):
    """the first of two tokens of numpy.random.Generator.choice with replace=False"""
    random = np.random.default_rng(seed)
    return np.array([random.choice(len(p), size=min(2, np.count_nonzero(p)), replace=False, p=p)[0] for p in softmax(logits)])


@sf.target(order=[], returns="tokens")
def choice_of_many(logits, seed):
    """the last of three draws of numpy.random.Generator.choice"""
    random = np.random.default_rng(seed)
    return np.array([random.choice(len(p), size=3, replace=True, p=p)[-1] for p in softmax(logits)])


@sf.target(order=[], returns="tokens")
def legacy_multinomial(logits, seed):
    """numpy.random.RandomState.multinomial of one trial, a row at a time"""
    random = np.random.RandomState(seed % 2**32)
    return np.array([random.multinomial(1, p).argmax() for p in softmax(logits)])


@sf.target(order=[], returns="tokens")
def gumbel(logits, seed):
    """arg-max of logits and numpy.random.Generator.gumbel"""
    return (logits + np.random.default_rng(seed).gumbel(size=logits.shape)).argmax(-1)


@sf.target(order=[], returns="tokens")
def exponential_race(logits, seed):
    """arg-max of probabilities over numpy.random.Generator.exponential"""
    return (softmax(logits) / np.random.default_rng(seed).exponential(size=logits.shape)).argmax(-1)
