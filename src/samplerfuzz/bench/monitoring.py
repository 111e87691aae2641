"""What the statistics of a step cost: text decoded with and without them, in turn, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from samplerfuzz import samplers
from samplerfuzz.bench.machine import describe, load_average
from samplerfuzz.llama.decoding import generate
from samplerfuzz.llama.load import load_model
from samplerfuzz.llama.models import resolve
from samplerfuzz.safety.statistics import chain_statistics

CHAINS: Mapping[str, Mapping[str, float]] = {
    "T": {"temperature": 0.8},
    "T + top-k 50 + top-p 0.9": {"temperature": 0.8, "top_k": 50, "top_p": 0.9},
}
TOKENS = 32
_FEWEST = 5
_PROMPT = list(range(100, 116))


def _plain(chain: samplers.Chain, key: jax.Array, logits: jax.Array, state: None) -> tuple[jax.Array, None, None]:
    final, _, _ = chain(logits)
    return samplers.draw(key, final)[0], None, None


def _measured(chain: samplers.Chain, key: jax.Array, logits: jax.Array, state: None) -> tuple[jax.Array, None, jax.Array]:
    final, _, _ = chain(logits)
    tokens = samplers.draw(key, final)[0]
    return tokens, None, chain_statistics(chain, logits, final, tokens, None)


def overhead(model_name: str, *, rows: Sequence[int], seconds: float, tell: Callable[[str], Any] = lambda text: None) -> dict[str, Any]:
    """Time the decoding of 32 tokens with and without statistics, in turn, for `seconds` a line.

    Returns:
      JSON data: for every chain and batch size the milliseconds a step, and the ratio of neighbours: median and quartiles. 1.01 is one percent more. The ratio of
      the processor's time is there too: what else the machine does disturbs it less.
    """
    tell(f"loading {model_name}")
    model, _ = load_model(resolve(model_name))
    before, lines = load_average(), []
    for name, parameters in CHAINS.items():
        chain = samplers.build(tuple(parameters), parameters)
        for batch in rows:
            tell(f"{name}, B = {batch}")
            prompts = [_PROMPT] * batch

            def run(sample: Any, chain: samplers.Chain = chain, prompts: list[list[int]] = prompts) -> tuple[float, float]:
                begin, worked = time.perf_counter(), time.process_time()
                generate(model, prompts, sample=sample, sampler_params=chain, key=jax.random.key(1), max_new_tokens=TOKENS)
                return time.perf_counter() - begin, time.process_time() - worked

            run(_plain), run(_measured)
            times: list[tuple[tuple[float, float], ...]] = []
            end = time.perf_counter() + seconds
            while time.perf_counter() < end or len(times) < _FEWEST:
                # the second of two may profit from the first, so they change places
                first, second = (_plain, _measured) if len(times) % 2 == 0 else (_measured, _plain)
                pair = run(first), run(second)
                times.append(pair if first is _plain else pair[::-1])
            lines.append({"chain": name, "rows": batch, **_summary(np.array(times))})
    return {
        "model": model_name,
        "vocabulary": model.config.vocab_size,
        "tokens": TOKENS,
        "lines": lines,
        "machine": vars(describe()),
        "load_average": [before, load_average()],
    }


def _summary(times: np.ndarray) -> dict[str, Any]:
    work = times[..., 1]
    times = times[..., 0]
    ratios = times[:, 1] / times[:, 0]
    of_work = round(float(np.median(work[:, 1] / work[:, 0])), 4)
    low, middle, high = (round(float(x), 4) for x in np.quantile(ratios, (0.25, 0.5, 0.75)))
    plain, measured = (round(1e3 * float(np.median(column)) / TOKENS, 3) for column in times.T)
    least = round(float(times[:, 1].min() / times[:, 0].min()), 4)
    found = {
        "plain_ms": plain,
        "measured_ms": measured,
        "ratio": middle,
        "quartiles": [low, high],
        "ratio_of_least": least,
        "ratio_of_work": of_work,
    }
    return {**found, "pairs": len(times)}
