"""The table of dialects."""

from samplerfuzz.core.dialects.dialect import Dialect
from samplerfuzz.core.dialects.gemma import GEMMA
from samplerfuzz.core.dialects.keras_hub import KERAS_HUB
from samplerfuzz.core.dialects.koboldcpp import KOBOLDCPP
from samplerfuzz.core.dialects.llama_cpp import LLAMA_CPP
from samplerfuzz.core.dialects.mlx_lm import MLX_LM
from samplerfuzz.core.dialects.own import OWN
from samplerfuzz.core.dialects.sglang import SGLANG
from samplerfuzz.core.dialects.transformers import TRANSFORMERS
from samplerfuzz.core.dialects.vllm import VLLM
from samplerfuzz.core.dialects.x_transformers import X_TRANSFORMERS
from samplerfuzz.core.errors import UsageError

ENGINES = (TRANSFORMERS, VLLM, SGLANG, LLAMA_CPP, MLX_LM, KERAS_HUB, GEMMA, X_TRANSFORMERS, KOBOLDCPP)
DIALECTS: dict[str, Dialect] = {item.name: item for item in (*ENGINES, OWN)}


def find_dialect(name: str) -> Dialect:
    """Return the dialect `name`; raise UsageError with the known ones."""
    if name not in DIALECTS:
        raise UsageError(f"dialect={name!r}: expected one of {', '.join(DIALECTS)}")
    return DIALECTS[name]
