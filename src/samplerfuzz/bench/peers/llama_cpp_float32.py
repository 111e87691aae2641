"""llama.cpp on the same weights in float32, which its quantised file is made to be fast beside."""

from __future__ import annotations

from samplerfuzz.bench.peers.llama_cpp_model import LlamaCpp


def peer() -> LlamaCpp:
    """Return the peer with the weights de-quantised."""
    return LlamaCpp(float32=True)
