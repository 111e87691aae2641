"""What a batch is: its rows, the blocks that they are computed in, and the hash by which its results know it again.

Row i is one prompt, one configuration and one seed. Blocks of a fixed number of rows are what a device computes at a time, whatever the number
of devices: the arithmetic of a row is that of its block, so results do not depend on who computed them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from samplerfuzz.core.errors import UsageError
from samplerfuzz.probe.batch.configurations import Configuration, columns

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A batch.

    Attributes:
      prompts: texts.
      ids: the tokens of each.
      configurations: see `configurations`.
      seeds: of each prompt under each configuration.
      new_tokens: how many are drawn at most.
      block: rows of a block.
      has_steps: whether results tell every step.
      computed_by: what else decides the results: checksums, dtype, platform.
    """

    prompts: Sequence[str]
    ids: Sequence[Sequence[int]]
    configurations: Sequence[Configuration]
    seeds: Sequence[int]
    new_tokens: int
    block: int
    has_steps: bool
    computed_by: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.prompts) * len(self.configurations) * len(self.seeds)

    @property
    def blocks(self) -> int:
        """How many blocks there are; the last may be short."""
        return -(-self.rows // self.block)

    def rows_of(self, block: int) -> range:
        """Return the rows of a block."""
        return range(block * self.block, min((block + 1) * self.block, self.rows))

    def places(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the indices of prompt, configuration and seed of each row."""
        rest, seed = np.divmod(rows, len(self.seeds))
        prompt, configuration = np.divmod(rest, len(self.configurations))
        return prompt, configuration, seed

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """Parameter -> its values [C]."""
        return columns(self.configurations)

    @cached_property
    def prompt_keys(self) -> np.ndarray:
        """Uint32 [P] that tells prompts apart by their tokens, wherever they stand in the file."""
        return np.array(
            [int.from_bytes(hashlib.sha256(np.array(ids, "<i4").tobytes()).digest()[:4], "little") for ids in self.ids], np.uint32
        )

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON data."""
        return {
            "format": FORMAT,
            "prompts": list(self.prompts),
            "configurations": [{name: spelled(value) for name, value in entry.items()} for entry in self.configurations],
            "seeds": list(self.seeds),
            "max_new_tokens": self.new_tokens,
            "batch_size": self.block,
            "steps": self.has_steps,
            **self.computed_by,
        }

    @cached_property
    def sha256(self) -> str:
        """The hash of all that decides the results."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


def plan_of(recorded: Mapping[str, Any]) -> Plan:
    """Return the plan that `to_json` made, but for the tokens of its prompts.

    Raises:
      UsageError: it is none, or of another version.
    """
    rest = {**recorded}
    try:
        if rest.pop("format") != FORMAT:
            raise UsageError(f"plan.json: expected format {FORMAT}, found {recorded['format']}: written by another version of samplerfuzz")
        return Plan(
            prompts=rest.pop("prompts"),
            ids=(),
            configurations=[{name: float(value) for name, value in entry.items()} for entry in rest.pop("configurations")],
            seeds=rest.pop("seeds"),
            new_tokens=rest.pop("max_new_tokens"),
            block=rest.pop("batch_size"),
            has_steps=rest.pop("steps"),
            computed_by=rest,
        )
    except (KeyError, AttributeError, ValueError) as error:
        raise UsageError(f"plan.json: expected a plan of `samplerfuzz probe batch`, found something else ({error!r})") from error


def spelled(value: float) -> float | str:
    """Return a number that strict JSON can hold, the infinities by their names."""
    return value if np.isfinite(value) else str(value)


def check_same(plan: Plan, recorded: Mapping[str, Any], where: str) -> None:
    """Refuse to go on with the results of another plan.

    Raises:
      UsageError: names what differs.
    """
    own = plan.to_json()
    differing = [name for name in {**own, **recorded} if own.get(name) != recorded.get(name)]
    if differing:
        raise UsageError(
            f"{where} holds another batch: {', '.join(differing)} differ; give its own command again, or name another directory"
        )
