"""One row of a batch as a line of JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from samplerfuzz.llama.tokenizer import Tokenizer
from samplerfuzz.probe.batch.plan import Plan
from samplerfuzz.probe.batch.program import Step
from samplerfuzz.probe.loops import loop_of

END, LENGTH, NOTHING = "end", "length", "nothing"


def row_line(plan: Plan, tokenizer: Tokenizer, row: int, tokens: np.ndarray, *, ended: bool, steps: Step) -> str:
    """Return what is recorded of a row.

    Args:
      tokens: int32 [N], -1 after the end.
      ended: whether the last one ends the text.
      steps: each [N].
    """
    count = int((tokens >= 0).sum())
    ids = tokens[:count].tolist()
    prompt, configuration, seed = (int(place) for place in plan.places(np.array(row)))
    loop = loop_of(ids)
    told: dict[str, Any] = {
        "row": row,
        "prompt": prompt,
        "configuration": configuration,
        "seed": plan.seeds[seed],
        "ids": ids,
        "text": _text(tokenizer, plan.ids[prompt], ids),
        "stopped_by": END if ended else LENGTH if count == plan.new_tokens else NOTHING,
        "loop": {"start": loop.start, "period": loop.period} if loop.period else None,
        **{f"mean_{name}": float(np.mean(values[:count], dtype=np.float64)) if count else None for name, values in steps._asdict().items()},
    }
    if plan.has_steps:
        told["steps"] = {name: values[:count].tolist() for name, values in steps._asdict().items()}
    return json.dumps(told, allow_nan=False)


def _text(tokenizer: Tokenizer, prompt: Any, ids: list[int]) -> str:
    stream = tokenizer.stream(after=prompt)
    shown = (i for i in ids if i not in tokenizer.eos_ids and i < tokenizer.vocab_size)  # the rows of a padded embedding have no text
    return "".join(map(stream.feed, shown)) + stream.finish()
