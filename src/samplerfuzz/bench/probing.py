"""How many tokens of a census are verified a second, and how many rows of a batch are continued."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from samplerfuzz.bench.machine import describe, load_average
from samplerfuzz.llama.model import LlamaModel
from samplerfuzz.llama.tokenizer import Tokenizer
from samplerfuzz.probe.batch.plan import Plan
from samplerfuzz.probe.batch.run import run
from samplerfuzz.probe.batch.sharding import DATA, mesh_of, spread
from samplerfuzz.probe.census.verification import PROMPTS, Prompt, verify

TEMPERATURES = (-1.0, 0.001, 0.8, 1.0)


def rates(
    model: LlamaModel, tokenizer: Tokenizer, texts: Sequence[str], *, rows: int, new_tokens: int, ids: int, rounds: int,
    tell: Callable[[str], None] = lambda stage: None,
) -> dict[str, Any]:  # fmt: skip
    """Return the rates, with the machine and its load; the first call of each, which compiles, is told apart.

    Args:
      texts: prompts of the batch, each at every temperature of TEMPERATURES.
      rows: of a block.
      new_tokens: of a row.
      ids: tokens to verify, the first of the vocabulary.
      rounds: calls after the first.
    """
    before = load_average()
    tell("census")
    prompts = [Prompt(beginning=tokenizer.encode(begin), between=tokenizer.encode(between)) for begin, between in PROMPTS]
    asked = np.arange(min(ids, tokenizer.vocab_size))
    census = _timed(lambda: verify(model, prompts, asked), rounds)
    tell("batch")
    mesh = mesh_of(1)
    on_devices, plan = spread(model, mesh), _plan(tokenizer, texts, rows=rows, blocks=2 * mesh.shape[DATA], new_tokens=new_tokens)
    drawn = 0

    def batch() -> None:
        nonlocal drawn
        with tempfile.TemporaryDirectory() as folder:
            run(on_devices, tokenizer, plan, Path(folder), mesh)
            drawn = sum(_tokens(path) for path in Path(folder).glob("shard-*.jsonl"))

    probing = _timed(batch, rounds)
    return {
        "machine": asdict(describe()),
        "load_average": [before, load_average()],
        "devices": mesh.size,
        "census": {**census, "ids": len(asked), "prompts": len(prompts), "ids_per_second": len(asked) / census["median"]},
        "batch": {
            **probing, "rows": plan.rows, "block": rows, "max_new_tokens": new_tokens, "tokens": drawn,
            "rows_per_second": plan.rows / probing["median"], "tokens_per_second": drawn / probing["median"],
        },
    }  # fmt: skip


def _plan(tokenizer: Tokenizer, texts: Sequence[str], *, rows: int, blocks: int, new_tokens: int) -> Plan:
    seeds = max(1, rows * blocks // (len(texts) * len(TEMPERATURES)))
    return Plan(
        prompts=texts,
        ids=[tokenizer.encode(text) for text in texts],
        configurations=[{"temperature": temperature} for temperature in TEMPERATURES],
        seeds=range(seeds),
        new_tokens=new_tokens,
        block=rows,
        has_steps=False,
        computed_by={},
    )


def _tokens(shard: Path) -> int:
    return sum(len(json.loads(line)["ids"]) for line in shard.read_text(encoding="ascii").splitlines()[1:])


def _timed(call: Callable[[], Any], rounds: int) -> dict[str, float]:
    seconds = []
    for _ in range(1 + rounds):
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    return {"first": seconds[0], "median": statistics.median(seconds[1:]), "rounds": rounds}
