"""transformers: LlamaForCausalLM in float32 with its own key/value cache, a step at a time, as its `generate` does."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from samplerfuzz.llama.hf_config import config_as_json
from samplerfuzz.llama.load import load_model
from samplerfuzz.llama.safetensors_dir import NAMING
from samplerfuzz.llama.weights import BLOCK, file_names


class _Transformers:
    def __init__(self, model: Any) -> None:
        self._model = model

    def _begun(self, prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, Any]:
        ids = torch.tensor([list(prompt) for prompt in prompts])
        out = self._model(ids, use_cache=True, logits_to_keep=1)
        return out.logits[:, -1].argmax(-1, keepdim=True), out.past_key_values

    def _steps(self, tokens: torch.Tensor, cache: Any, count: int) -> list[torch.Tensor]:
        drawn = []
        for _ in range(count):
            out = self._model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
            tokens, cache = out.logits[:, -1].argmax(-1, keepdim=True), out.past_key_values
            drawn.append(tokens)
        return drawn

    @torch.inference_mode()
    def decode(self, prompts: Sequence[Sequence[int]], steps: int) -> float:
        tokens, cache = self._begun(prompts)
        begun = time.perf_counter()
        self._steps(tokens, cache, steps)
        return time.perf_counter() - begun

    @torch.inference_mode()
    def prefill(self, prompt: Sequence[int]) -> float:
        begun = time.perf_counter()
        self._begun([prompt])
        return time.perf_counter() - begun

    @torch.inference_mode()
    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        tokens, cache = self._begun([prompt])
        return [int(token) for token in (tokens, *self._steps(tokens, cache, count - 1))]


class _Peer:
    def version(self) -> str:
        return f"{transformers.__version__}, torch {torch.__version__}"

    def how(self) -> str:
        return f"LlamaForCausalLM, float32, sdpa attention, dynamic cache, {torch.get_num_threads()} threads"

    def lacks(self, model: Path) -> str:
        return ""

    @contextmanager
    def load(self, model: Path, rows: int, positions: int) -> Iterator[_Transformers]:
        own, config = load_model(model)
        described = {key: value for key, value in config_as_json(config, dtype="float32").items() if key != "torch_dtype"}
        theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(**described, attn_implementation="sdpa"))
        names, state = file_names(config, NAMING), {}
        for name, weight in own.weights().items():
            values = np.array(weight)
            for layer, file in enumerate(names[name]):
                state[file] = torch.from_numpy(values[layer] if name in BLOCK else values)
        if config.tie_embeddings:
            state["lm_head.weight"] = state[NAMING["embedding"]]
        theirs.load_state_dict(state, strict=True)
        yield _Transformers(theirs.eval())


def peer() -> _Peer:
    """Return the peer."""
    return _Peer()
