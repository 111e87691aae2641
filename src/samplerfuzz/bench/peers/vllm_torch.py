"""vLLM's PyTorch path: `apply_top_k_top_p_pytorch` on the divided logits, and its draw by exponential noise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import vllm
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p_pytorch, random_sample

from samplerfuzz.bench.workloads import Workload


class _Step:
    def __init__(self, workload: Workload, logits: np.ndarray) -> None:
        rows, vocabulary = logits.shape
        values = workload.values(rows)
        self.logits = torch.from_numpy(logits)
        self.temperature = torch.tensor(values["temperature"], dtype=torch.float32)[:, None]
        k, p = values.get("top_k"), values.get("top_p")
        self.k = None if k is None else torch.tensor(np.where(k <= 0, vocabulary, k), dtype=torch.int32)
        self.p = None if p is None else torch.tensor(p, dtype=torch.float32)
        torch.manual_seed(0)

    @torch.no_grad()
    def _filtered(self) -> torch.Tensor:
        return apply_top_k_top_p_pytorch(self.logits / self.temperature, self.k, self.p)

    @torch.no_grad()
    def __call__(self) -> np.ndarray:
        return random_sample(torch.softmax(self._filtered(), dim=-1, dtype=torch.float32), {}).numpy()

    def kept(self) -> np.ndarray:
        return self._filtered().numpy() > -np.inf


class _Vllm:
    def version(self) -> str:
        return f"{vllm.__version__}, torch {torch.__version__}"

    def how(self) -> str:
        return f"apply_top_k_top_p_pytorch, softmax, random_sample; {torch.get_num_threads()} threads"

    def lacks(self, workload: Workload) -> str:
        missing = [name for name in workload.order if name not in ("temperature", "top_k", "top_p")]
        return f"its two functions have no {', '.join(missing)}" if missing else ""

    @contextmanager
    def prepare(self, workload: Workload, logits: np.ndarray) -> Iterator[_Step]:
        yield _Step(workload, logits)


def peer() -> _Vllm:
    """Return the peer."""
    return _Vllm()
