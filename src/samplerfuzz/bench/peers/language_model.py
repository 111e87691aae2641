"""What a peer that runs language models offers, and which there are. A peer's libraries are imported when it is asked for, and not before."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from samplerfuzz.bench.peers.peer import OURS, Known


class LanguageModel(Protocol):
    """A model that is loaded."""

    def decode(self, prompts: Sequence[Sequence[int]], steps: int) -> float:
        """Continue all prompts together, greedily, and return the seconds that `steps` tokens of each took after the first one."""

    def prefill(self, prompt: Sequence[int]) -> float:
        """Return the seconds from a prompt to its next token, nothing of it being known before."""

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """Return the most probable continuation. Not timed."""


class LanguageModelPeer(Protocol):
    """A library that runs language models."""

    def version(self) -> str:
        """Return the version that is installed."""

    def how(self) -> str:
        """Return in a sentence what is called."""

    def lacks(self, model: Path) -> str:
        """Return why it cannot run the model, or nothing."""

    def load(self, model: Path, rows: int, positions: int) -> AbstractContextManager[LanguageModel]:
        """Load a GGUF file or directory for at most so many rows of so many positions."""


_XLLAMACPP = "pip install xllamacpp==2026.10.11549"
LANGUAGE_MODELS = (
    Known(name=OURS, module="samplerfuzz.bench.peers.builtin_model"),
    Known(
        name="transformers",
        module="samplerfuzz.bench.peers.transformers_model",
        needs=("torch", "transformers"),
        install="pip install torch==2.13.0 && pip install transformers==5.23.0",
    ),
    Known(name="llama.cpp", module="samplerfuzz.bench.peers.llama_cpp_model", needs=("xllamacpp",), install=_XLLAMACPP),
    Known(name="llama.cpp float32", module="samplerfuzz.bench.peers.llama_cpp_float32", needs=("xllamacpp",), install=_XLLAMACPP),
)
