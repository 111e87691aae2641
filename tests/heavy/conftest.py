"""Heavy parts: torch with transformers, and SmolLM2-135M. What is not there is skipped, with the reason."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "llama"))


@pytest.fixture(scope="session")
def transformers():
    pytest.importorskip("torch")
    return pytest.importorskip("transformers")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The GGUF file: from SAMPLERFUZZ_SMOLLM2, else where `samplerfuzz models get smollm2-135m` put it."""
    named = os.environ.get("SAMPLERFUZZ_SMOLLM2")
    if named:
        return Path(named)
    models = pytest.importorskip("samplerfuzz.llama.models")
    from samplerfuzz.core.errors import SamplerFuzzError

    try:
        return Path(models.resolve("smollm2-135m"))
    except SamplerFuzzError as error:
        pytest.skip(f"SmolLM2-135M is not there: {error}")
