"""Carrying out a plan: blocks that are not on disk yet, as many at a time as there are devices along `data`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from samplerfuzz import samplers
from samplerfuzz.core.errors import UsageError
from samplerfuzz.llama.model import LlamaModel
from samplerfuzz.llama.prompts import bucket, pad_prompts
from samplerfuzz.llama.tokenizer import Tokenizer
from samplerfuzz.probe.batch import hosts
from samplerfuzz.probe.batch.plan import Plan, check_same
from samplerfuzz.probe.batch.program import Answer, Rows, Step, compiled
from samplerfuzz.probe.batch.results import row_line
from samplerfuzz.probe.batch.sharding import DATA, ROWS, on_mesh
from samplerfuzz.probe.batch.shards import PLAN, finished, recorded_plan, remove_unfinished, write_shard, write_whole
from samplerfuzz.samplers.given import chain_of

_PADDING = -1


def run(
    model: LlamaModel, tokenizer: Tokenizer, plan: Plan, folder: Path, mesh: Mesh, *, tell: Callable[[int, int], None] = lambda done, of: None
) -> None:  # fmt: skip
    """Compute every row that no process has on disk, and write them down.

    Args:
      model: on the mesh, see `sharding.spread`.
      folder: there; what it holds of the same plan is not computed again.
      tell: hears how many rows are done, of how many.

    Raises:
      UsageError: the folder holds another plan; a text is longer than the model's positions; the processes disagree.
    """
    check_fits(plan, model.config.max_position)
    hosts.check_alike(plan.sha256)
    recorded = recorded_plan(folder)
    if recorded is not None:
        check_same(plan, recorded, str(folder))
    elif hosts.is_coordinator():
        write_whole(folder / PLAN, [json.dumps(plan.to_json(), indent=1, allow_nan=False)])
    remove_unfinished(folder, jax.process_index())
    done = hosts.known_to_any(finished(folder, plan.sha256), plan.blocks)
    todo = np.flatnonzero(~done)
    stacked = Stacked(plan, mesh)
    program = compiled(mesh, room=stacked.room, capacity=stacked.capacity)
    ends = _ends(tokenizer.eos_ids)
    begun: tuple[np.ndarray, Answer] | None = None
    ready = sum(len(plan.rows_of(int(block))) for block in np.flatnonzero(done))
    tell(ready, plan.rows)
    for blocks in [*_batches(todo, mesh.shape[DATA]), None]:
        # a batch is begun before the one before it is written down: the devices do not wait for the disk
        next_one = None if blocks is None else (blocks, program(model, stacked.rows(blocks), ends, np.int32(plan.new_tokens)))
        if begun is not None:
            _write(plan, tokenizer, folder, *begun)
            ready += sum(len(plan.rows_of(int(block))) for block in begun[0] if block != _PADDING)
            tell(ready, plan.rows)
        begun = next_one
    hosts.everyone_here()


def check_fits(plan: Plan, positions: int) -> None:
    """Refuse prompts that leave no room for the new tokens.

    Raises:
      UsageError: names the prompt.
    """
    for index, ids in enumerate(plan.ids):
        if len(ids) + plan.new_tokens > positions:
            raise UsageError(
                f"prompt {index} has {len(ids)} tokens and the model {positions} positions; shorten it, or lower "
                f"--max-new-tokens {plan.new_tokens}"
            )


class Stacked:
    """The rows of any blocks as one pytree on the mesh; its shapes are the same for all."""

    def __init__(self, plan: Plan, mesh: Mesh) -> None:
        longest = max(map(len, plan.ids))
        self._plan, self._sharding = plan, NamedSharding(mesh, ROWS)
        ids, self._lengths = pad_prompts([np.asarray(ids, np.int32) for ids in plan.ids])
        self._ids = np.zeros((len(ids), bucket(longest)), np.int32)
        self._ids[:, : ids.shape[1]] = ids
        self.room = bucket(plan.new_tokens)
        self.capacity = max(self._ids.shape[1], bucket(longest + plan.new_tokens))
        self._chain = chain_of(plan.columns)
        self._has_state = any(not stage.masked_is_deleted for stage in self._chain.stages)

    def rows(self, blocks: np.ndarray) -> Rows:
        """Return the rows of the blocks, one block for each device along `data`; what is missing is filled with rows that are there."""
        numbers = np.concatenate([self._filled(int(block if block != _PADDING else blocks[0])) for block in blocks])
        prompt, configuration, seed = self._plan.places(numbers)
        ids, lengths = self._ids[prompt], self._lengths[prompt]
        chain = jax.tree.map(lambda leaf: np.broadcast_to(leaf, len(self._plan.configurations))[configuration], self._chain)
        rows = Rows(
            ids=ids,
            lengths=lengths,
            seeds=np.array(self._plan.seeds, np.uint32)[seed],
            prompt_keys=self._plan.prompt_keys[prompt],
            chain=chain,
            state=self._state(chain, ids, lengths) if self._has_state else None,
        )
        return jax.tree.map(lambda leaf: on_mesh(np.asarray(leaf), self._sharding), rows)

    def _filled(self, block: int) -> np.ndarray:
        rows = np.array(self._plan.rows_of(block))
        return np.concatenate([rows, np.repeat(rows[:1], self._plan.block - len(rows))])

    def _state(self, chain: samplers.Chain, ids: np.ndarray, lengths: np.ndarray) -> samplers.State:
        history = np.zeros((len(ids), self.capacity), np.int32)
        history[:, : ids.shape[1]] = ids
        return chain.begin(samplers.State(jnp.asarray(history), jnp.asarray(lengths), jnp.asarray(lengths)))


def _batches(todo: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Return the blocks `size` at a time, the last filled up."""
    for begin in range(0, len(todo), size):
        part = todo[begin : begin + size]
        yield np.concatenate([part, np.full(size - len(part), _PADDING)])


def _write(plan: Plan, tokenizer: Tokenizer, folder: Path, blocks: np.ndarray, answer: Answer) -> None:
    """Write the blocks that this process's devices computed as one shard."""
    own = _own_parts(answer)
    written = [(int(block), own[at]) for at, block in enumerate(blocks) if block != _PADDING and at in own]
    if not written:
        return
    lines = (line for block, part in written for line in _lines(plan, tokenizer, block, part))
    write_shard(folder, jax.process_index(), plan.sha256, [block for block, _ in written], lines)


def _lines(plan: Plan, tokenizer: Tokenizer, block: int, part: Answer) -> Iterator[str]:
    for at, row in enumerate(plan.rows_of(block)):
        steps = Step(*(np.asarray(leaf)[at] for leaf in part.steps))
        yield row_line(plan, tokenizer, row, np.asarray(part.tokens)[at], ended=bool(part.ended[at]), steps=steps)


def _own_parts(answer: Answer) -> dict[int, Answer]:
    """Return place of a block in the batch -> its answer on this process, for the blocks that are this process's to write."""
    leaves, structure = jax.tree.flatten(answer)
    parts: dict[int, list[np.ndarray]] = {}
    for leaf in leaves:
        for shard in leaf.addressable_shards:
            if shard.replica_id == 0:  # along `model` every device has the same answer
                rows = shard.data.shape[0]
                parts.setdefault((shard.index[0].start or 0) // rows, []).append(np.asarray(shard.data))
    return {place: jax.tree.unflatten(structure, found) for place, found in parts.items()}


def _ends(eos_ids: Sequence[int]) -> np.ndarray:
    return np.array(eos_ids or [_PADDING], np.int32)  # no sampler draws -1
