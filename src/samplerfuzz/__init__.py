"""samplerfuzz finds the bugs between a language model's logits and the token it emits.

Everything heavy is loaded on first use: `import samplerfuzz` loads neither JAX nor a model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_LAZY = {
    "SamplerFuzzError": "samplerfuzz.core.errors:SamplerFuzzError",
    "target": "samplerfuzz.targets.plain:target",
    "samplers": "samplerfuzz.samplers",
    "oracle": "samplerfuzz.oracle",
    "llama": "samplerfuzz.llama",
    "strategies": "samplerfuzz.strategies",
}

if TYPE_CHECKING:
    from samplerfuzz import llama, oracle, samplers, strategies
    from samplerfuzz.core.errors import SamplerFuzzError
    from samplerfuzz.targets.plain import target

__all__ = ["SamplerFuzzError", "__version__", "llama", "oracle", "samplers", "strategies", "target"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'samplerfuzz' has no attribute {name!r}")
    module, _, attribute = _LAZY[name].partition(":")
    value = importlib.import_module(module)
    return getattr(value, attribute) if attribute else value


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
