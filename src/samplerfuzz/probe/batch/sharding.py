"""Devices as a mesh of two axes: rows are shared out along `data`, weights along `model`.

Along `data` every device computes blocks of its own and hears of no other. Along `model` the heads, the inner width of the feed-forward and the
vocabulary are cut, for models that one device does not hold; the partial sums of devices are added, so the last bits depend on the cut.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from samplerfuzz.core.errors import UsageError
from samplerfuzz.llama.config import LlamaConfig
from samplerfuzz.llama.load import load_model
from samplerfuzz.llama.model import LlamaModel

DATA, MODEL = "data", "model"
ROWS = PartitionSpec(DATA)
# weight -> the axis that is cut, and what has to be divisible for it
_CUT = {
    "embedding": (0, "vocab_size"),
    "head": (0, "vocab_size"),
    "query": (1, "heads"),
    "key": (1, "heads"),
    "value": (1, "heads"),
    "output": (2, "heads"),
    "gate": (1, "intermediate_size"),
    "up": (1, "intermediate_size"),
    "down": (2, "intermediate_size"),
}


def mesh_of(model_axis: int) -> Mesh:
    """Return all devices of all processes as `data` × `model`.

    Raises:
      UsageError: their number is no multiple of `model_axis`.
    """
    devices = jax.devices()
    if len(devices) % model_axis:
        raise UsageError(f"--model-axis {model_axis}: expected a divisor of the number of devices, {len(devices)}")
    return Mesh(np.array(devices).reshape(-1, model_axis), (DATA, MODEL))


def weight_specs(config: LlamaConfig, model_axis: int) -> dict[str, PartitionSpec]:
    """Return how each weight is cut in `model_axis` parts.

    A weight whose size they do not divide stays whole on every device.

    Raises:
      UsageError: they divide nothing.
    """
    sizes = {
        "vocab_size": config.vocab_size,
        "heads": np.gcd(config.num_heads, config.num_kv_heads),  # a group of query heads stays with its key and value
        "intermediate_size": config.intermediate_size,
    }
    divisible = {name for name, size in sizes.items() if size % model_axis == 0}
    if not divisible:
        told = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise UsageError(f"--model-axis {model_axis}: divides nothing of this model ({told}); choose a divisor of one of them")
    return {
        name: PartitionSpec(*[None] * axis, MODEL) if what in divisible and model_axis > 1 else PartitionSpec()
        for name, (axis, what) in _CUT.items()
    }


def load_whole(path: Path, dtype: str) -> LlamaModel:
    """Load a model into the memory of this host, whichever device computes: one device need not hold it."""
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        return load_model(path, dtype=dtype)[0]


def spread(model: LlamaModel, mesh: Mesh) -> LlamaModel:
    """Return the model with its weights on the devices of the mesh."""
    specs = weight_specs(model.config, mesh.shape[MODEL])
    weights = {
        name: on_mesh(np.asarray(weight), NamedSharding(mesh, specs.get(name, PartitionSpec()))) for name, weight in model.weights().items()
    }
    return LlamaModel(model.config, weights)


def on_mesh(whole: np.ndarray, sharding: NamedSharding) -> Any:
    """Return an array that every process has whole as one that each of its devices has its part of."""
    return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])
