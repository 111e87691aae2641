"""keras-hub, in an environment with jax 0.10.2, keras 3.15.1 and the sampler files of keras-hub 0.32.0 on the path given by KERAS_HUB.

The package itself wants tensorflow; its samplers do not. They are loaded from their own files, and the two names that they take from
the rest of the package, a decorator for the public API and a function for stop tokens, are stood in for.
"""

import importlib
import os
import sys
import types

os.environ["KERAS_BACKEND"] = "jax"

import jax.numpy as jnp
from rows import drawn

ORIGIN, ONE_FILTER = "ran", False
TAKES = ("temperature", "top_k", "top_p")
DRAWS = 20000


def _package(name, **names):
    module = types.ModuleType(name)
    module.__path__ = [os.path.join(os.environ["KERAS_HUB"], *name.split(".")[1:])]
    module.__dict__.update(names)
    sys.modules[name] = module


for package in ("keras_hub", "keras_hub.src", "keras_hub.src.utils", "keras_hub.src.samplers"):
    _package(package)
_package("keras_hub.src.api_export", keras_hub_export=lambda path: lambda item: item)
_package("keras_hub.src.utils.tensor_utils", any_equal=None)
top_k = importlib.import_module("keras_hub.src.samplers.top_k_sampler")
top_p = importlib.import_module("keras_hub.src.samplers.top_p_sampler")
random = importlib.import_module("keras_hub.src.samplers.random_sampler")


def version():
    return "0.32.0"


def run(row, parameters, history, prompt):
    given = {"seed": 0, **{n: parameters[n] for n in ("temperature",) if n in parameters}}
    if "top_p" in parameters:
        sampler = top_p.TopPSampler(p=parameters["top_p"], k=parameters.get("top_k"), **given)
    elif "top_k" in parameters:
        sampler = top_k.TopKSampler(k=parameters["top_k"], **given)
    else:
        sampler = random.RandomSampler(**given)
    probabilities = sampler.compute_probabilities(jnp.tile(jnp.array([row], jnp.float32), (DRAWS, 1)))
    if bool(jnp.isnan(probabilities).any()):
        return [0], [float("nan")]
    return drawn(sampler.get_next_token(probabilities).tolist(), len(row))
