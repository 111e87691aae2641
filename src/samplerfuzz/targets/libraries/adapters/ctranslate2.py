"""CTranslate2: the tokens that `Generator.generate_batch` draws.

It draws for a model only, so there is one of a layer whose weights are zero: its last normalisation gives the first unit vector, and the projection
of that is the logits. Each case has a model of its own. Random numbers come from generators of each thread, which are seeded when they are made.
"""

import functools
import tempfile
from pathlib import Path

import ctranslate2
import numpy as np
from ctranslate2.specs.transformer_spec import TransformerDecoderModelSpec

import samplerfuzz as sf

LACKS = {}

WIDTH = 2


def version():
    return f"ctranslate2 {ctranslate2.__version__}"


def normalisation(layer, beta):
    layer.gamma = np.zeros(WIDTH, np.float32)
    layer.beta = np.array(beta, np.float32)


def linear(layer, rows, columns=WIDTH):
    layer.weight = np.zeros((rows, columns), np.float32)


@functools.lru_cache(maxsize=64)
def files(size):
    """Return the files of a decoder that answers 1, 2, ... whatever it reads."""
    specification = TransformerDecoderModelSpec.from_config(1, 1)
    decoder = specification.decoder
    decoder.embeddings.weight = np.zeros((size, WIDTH), np.float32)
    normalisation(decoder.layer_norm, [1, 0])
    decoder.projection.weight = weights(np.arange(1, size + 1))
    decoder.position_encodings.encodings = np.zeros((64, WIDTH), np.float32)
    (layer,) = decoder.layer
    normalisation(layer.self_attention.layer_norm, [0, 0])
    linear(layer.self_attention.linear[0], 3 * WIDTH)
    linear(layer.self_attention.linear[1], WIDTH)
    normalisation(layer.ffn.layer_norm, [0, 0])
    linear(layer.ffn.linear_0, WIDTH)
    linear(layer.ffn.linear_1, WIDTH)
    specification.config.layer_norm_epsilon = 1e-5
    specification.register_vocabulary([str(token) for token in range(size)])
    specification.config.unk_token = specification.config.bos_token = specification.config.eos_token = "0"
    specification.validate()
    specification.optimize(quantization="float32")
    with tempfile.TemporaryDirectory() as directory:
        specification.save(directory)
        return {path.name: path.read_bytes() for path in Path(directory).iterdir()}


def weights(row):
    """Return the projection that makes the logits `row` of the first unit vector."""
    return np.stack([row, np.zeros(len(row))], 1).astype(np.float32)


def generated(row, count, seed, **options):
    """Return the next token of `count` texts that have the same logits."""
    saved = files(len(row))
    own = saved["model.bin"].replace(weights(np.arange(1, len(row) + 1)).tobytes(), weights(row).tobytes())
    ctranslate2.set_random_seed(seed)
    generator = ctranslate2.Generator("memory", compute_type="float32", inter_threads=1, intra_threads=1, files={**saved, "model.bin": own})
    results = generator.generate_batch(
        [["0"]] * count,
        max_length=1,
        min_length=0,
        beam_size=1,
        end_token=[],
        return_end_token=True,
        include_prompt_in_result=False,
        **options,
    )
    return [int(result.sequences_ids[0][0]) for result in results]


def drawn(logits, seed, **options):
    """Return a token for each row; equal rows are texts of one batch."""
    if not np.isfinite(logits).all():
        raise ValueError("the logits are weights of a model here: they must be finite")
    out = np.zeros(len(logits), np.int64)
    for index, row in enumerate(np.unique(logits, axis=0)):
        same = (logits == row).all(-1)
        out[same] = generated(row, int(same.sum()), seed % 2**31 + index, **options)
    return out


@sf.target(order=["top_k"], returns="tokens")
def top_k(logits, top_k, seed):
    """Generator.generate_batch with sampling_topk"""
    return drawn(logits, seed, sampling_topk=top_k, sampling_topp=1.0, sampling_temperature=1.0)


@sf.target(order=["temperature"], returns="tokens")
def temperature(logits, temperature, seed):
    """Generator.generate_batch with sampling_temperature"""
    return drawn(logits, seed, sampling_topk=0, sampling_topp=1.0, sampling_temperature=temperature)


@sf.target(order=["top_p"], returns="tokens")
def top_p(logits, top_p, seed):
    """Generator.generate_batch with sampling_topp"""
    return drawn(logits, seed, sampling_topk=0, sampling_topp=top_p, sampling_temperature=1.0)


@sf.target(order=["temperature", "top_k", "top_p"], returns="tokens")
def chain(logits, temperature, top_k, top_p, seed):
    """Generator.generate_batch with sampling_temperature, sampling_topk and sampling_topp"""
    return drawn(logits, seed, sampling_topk=top_k, sampling_topp=top_p, sampling_temperature=temperature)
