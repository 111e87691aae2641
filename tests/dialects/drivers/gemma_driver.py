"""gemma, in an environment with jax 0.10.2 and gemma 3.3.0: a sampling method draws many times, for it shows nothing but tokens."""

from importlib.metadata import version as installed

import jax
import jax.numpy as jnp
from gemma.gm.text import _sampling
from rows import drawn

ORIGIN, ONE_FILTER = "ran", True
TAKES = ("temperature", "top_k", "top_p")
DRAWS = 20000


def version():
    return installed("gemma")


def run(row, parameters, history, prompt):
    temperature = {"temperature": parameters["temperature"]} if "temperature" in parameters else {}
    if "top_k" in parameters:
        method = _sampling.TopkSampling(k=parameters["top_k"], **temperature)
    elif "top_p" in parameters:
        method = _sampling.TopPSampling(p=parameters["top_p"], **temperature)
    else:
        method = _sampling.RandomSampling(**temperature)
    logits = jnp.tile(jnp.array([row], jnp.float32), (DRAWS, 1))
    if not jnp.isfinite(logits.max(-1) / parameters.get("temperature", 1.0)).all():
        return [0], [float("nan")]
    return drawn(method.get_next_tokens(logits, jax.random.key(0)).tolist(), len(row))
