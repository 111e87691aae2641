"""The shards of all hosts as one file in the order of the rows, and a summary of every configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samplerfuzz.core.errors import UsageError
from samplerfuzz.probe.batch.plan import Plan, spelled
from samplerfuzz.probe.batch.program import Step
from samplerfuzz.probe.batch.results import END, NOTHING
from samplerfuzz.probe.batch.shards import RESULTS, SUMMARY, finished, lines_in_order, write_whole


@dataclass(kw_only=True)
class _Tally:
    """What adds up over the rows of one configuration."""

    rows: int = 0
    tokens: int = 0
    ended: int = 0
    refused: int = 0
    looping: int = 0
    first_text: str = ""
    texts: set[str] = field(default_factory=set)
    distinct: set[int] = field(default_factory=set)
    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(Step._fields, 0.0))

    def add(self, told: dict[str, Any]) -> None:
        """Count a row in."""
        count = len(told["ids"])
        if not self.rows:
            self.first_text = told["text"]
        self.rows += 1
        self.tokens += count
        self.ended += told["stopped_by"] == END
        self.refused += told["stopped_by"] == NOTHING
        self.looping += told["loop"] is not None
        self.texts.add(told["text"])
        self.distinct.update(told["ids"])
        for name in self.sums:
            self.sums[name] += (told[f"mean_{name}"] or 0.0) * count

    def to_json(self) -> dict[str, Any]:
        """Return the counts, and the means over all tokens."""
        return {
            "rows": self.rows,
            "tokens": self.tokens,
            "ended": self.ended,
            "nothing_to_draw": self.refused,
            "looping": self.looping,
            "distinct_texts": len(self.texts),
            "distinct_tokens": len(self.distinct),
            "first_text": self.first_text,
            **{f"mean_{name}": total / self.tokens if self.tokens else None for name, total in self.sums.items()},
        }


def merge(plan: Plan, folder: Path) -> dict[str, Any]:
    """Write `results.jsonl` and `summary.json` and return the summary.

    Raises:
      UsageError: rows are missing.
    """
    blocks = finished(folder, plan.sha256)
    missing = sum(len(plan.rows_of(block)) for block in range(plan.blocks) if block not in blocks)
    if missing:
        raise UsageError(
            f"{folder}: {missing} of {plan.rows} rows are not here; give the command of the batch again, or copy the shards of the other "
            "hosts here and merge with --merge-only"
        )
    tallies = [_Tally() for _ in plan.configurations]

    def counted() -> Iterator[str]:
        for line in lines_in_order(blocks, plan.block, plan.rows):
            told = json.loads(line)
            tallies[told["configuration"]].add(told)
            yield line

    write_whole(folder / RESULTS, counted())
    summary = {
        "plan": plan.sha256,
        "rows": plan.rows,
        "tokens": sum(tally.tokens for tally in tallies),
        "configurations": [
            {"parameters": {name: spelled(value) for name, value in entry.items()}, **tally.to_json()}
            for entry, tally in zip(plan.configurations, tallies, strict=True)
        ],
    }
    write_whole(folder / SUMMARY, [json.dumps(summary, indent=1, allow_nan=False)])
    return summary
