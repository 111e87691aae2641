"""JAX: jax.random.categorical, choice and gumbel, with a key of the seed."""

import jax
import jax.numpy as jnp
import numpy as np

import samplerfuzz as sf

LACKS = {}

# run step by step, a sampler is many small programs: where JAX keeps what it compiles, the next process has them too
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def version():
    return f"jax {jax.__version__}"


@sf.target(order=[], returns="tokens")
def categorical(logits, seed):
    """jax.random.categorical"""
    return np.asarray(jax.random.categorical(jax.random.key(seed), jnp.asarray(logits), axis=-1, replace=True, mode="low"))


@sf.target(order=[], returns="tokens")
def categorical_high(logits, seed):
    """jax.random.categorical with mode="high" """
    return np.asarray(jax.random.categorical(jax.random.key(seed), jnp.asarray(logits), axis=-1, replace=True, mode="high"))


@sf.target(order=[], returns="tokens", dtype="bfloat16")
def categorical_bfloat16(logits, seed):
    """jax.random.categorical of bfloat16 logits"""
    given = jnp.asarray(logits).astype(jnp.bfloat16)
    return np.asarray(jax.random.categorical(jax.random.key(seed), given, axis=-1, replace=True, mode="low"))


@sf.target(order=[], returns="tokens", dtype="float16")
def categorical_float16(logits, seed):
    """jax.random.categorical of float16 logits"""
    given = jnp.asarray(logits).astype(jnp.float16)
    return np.asarray(jax.random.categorical(jax.random.key(seed), given, axis=-1, replace=True, mode="low"))


@sf.target(order=[], returns="tokens")
def categorical_without_replacement(logits, seed):
    """jax.random.categorical with replace=False, one sample a row"""
    drawn = jax.random.categorical(jax.random.key(seed), jnp.asarray(logits), axis=-1, shape=(1, len(logits)), replace=False, mode="low")
    return np.asarray(drawn[0])


@sf.target(order=[], returns="tokens")
def choice(logits, seed):
    """jax.random.choice with p, a key a row"""
    keys = jax.random.split(jax.random.key(seed), len(logits))
    p = jax.nn.softmax(jnp.asarray(logits), axis=-1)
    draw = jax.vmap(lambda key, row: jax.random.choice(key, logits.shape[1], shape=(), replace=True, p=row))
    return np.asarray(draw(keys, p))


@sf.target(order=[], returns="tokens")
def choice_without_replacement(logits, seed):
    """jax.random.choice with p and replace=False, one token, a key a row"""
    keys = jax.random.split(jax.random.key(seed), len(logits))
    p = jax.nn.softmax(jnp.asarray(logits), axis=-1)
    draw = jax.vmap(lambda key, row: jax.random.choice(key, logits.shape[1], shape=(1,), replace=False, p=row)[0])
    return np.asarray(draw(keys, p))


@sf.target(order=[], returns="tokens")
def gumbel(logits, seed):
    """arg-max of logits and jax.random.gumbel"""
    noise = jax.random.gumbel(jax.random.key(seed), logits.shape, jnp.float32, mode="high")
    return np.asarray(jnp.argmax(jnp.asarray(logits) + noise, axis=-1))
