"""What every peer offers, and which there are. A peer's libraries are imported when it is asked for, and not before."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from samplerfuzz.bench.workloads import Workload


class Step(Protocol):
    """A workload made ready for some rows: what is called again and again."""

    def __call__(self) -> np.ndarray:
        """Run the chain on every row and draw; return the tokens [B] when they are there."""

    def kept(self) -> np.ndarray:
        """Return what the chain keeps of the rows, bool [B, V]. Not timed."""


class Peer(Protocol):
    """A library that samples."""

    def version(self) -> str:
        """Return the version that is installed."""

    def how(self) -> str:
        """Return in a sentence what is called."""

    def lacks(self, workload: Workload) -> str:
        """Return why the library has no such chain, or nothing."""

    def prepare(self, workload: Workload, logits: np.ndarray) -> AbstractContextManager[Step]:
        """Make a workload ready for float32 logits [B, V]; what was set up is taken down at the end."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """A peer by name."""

    name: str
    module: str
    needs: tuple[str, ...] = ()
    install: str = ""


OURS = "samplerfuzz"
PEERS = (
    Known(name=OURS, module="samplerfuzz.bench.peers.builtin"),
    Known(name="jax", module="samplerfuzz.bench.peers.textbook"),
    Known(
        name="transformers",
        module="samplerfuzz.bench.peers.transformers_chain",
        needs=("torch", "transformers"),
        install="pip install torch==2.13.0 && pip install transformers==5.23.0",
    ),
    Known(
        name="vllm",
        module="samplerfuzz.bench.peers.vllm_torch",
        needs=("torch", "vllm"),
        install="pip install torch==2.13.0 && pip install vllm==0.33.0",
    ),
    Known(
        name="llama.cpp",
        module="samplerfuzz.bench.peers.llama_cpp_chain",
        needs=("llama_cpp",),
        install="pip install llama-cpp-python==0.3.36",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Absent:
    """A peer that cannot be asked here."""

    name: str
    why: str
    install: str


def found(known: Known) -> Peer | Absent:
    """Load a peer, or say what is missing and how to get it."""
    try:
        for needed in known.needs:
            importlib.import_module(needed)
        peer: Peer = importlib.import_module(known.module).peer()
    except ImportError as error:
        return Absent(name=known.name, why=f"not installed: {error}", install=known.install)
    return peer
