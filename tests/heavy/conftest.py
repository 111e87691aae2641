"""Heavy parts: torch with transformers, and SmolLM2-135M. Asked for by name, the suite fails when one of them is missing."""

import importlib
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "llama"))


@pytest.fixture(scope="session")
def transformers():
    importlib.import_module("torch")
    return importlib.import_module("transformers")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The GGUF file: from SAMPLERFUZZ_SMOLLM2, else where `samplerfuzz models get smollm2-135m` put it."""
    named = os.environ.get("SAMPLERFUZZ_SMOLLM2")
    if named:
        return Path(named)
    from samplerfuzz.llama import models

    # asked for by name, this suite fails without its model rather than pass over it
    return Path(models.resolve("smollm2-135m"))


# the first is imported by the workers of its test, in which torch is, the others run by the interpreter of vllm
collect_ignore = ["clean_torch.py", "vllm_loop.py", "vllm_engine.py"]
