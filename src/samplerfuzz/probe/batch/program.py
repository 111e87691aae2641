"""The compiled program of a batch: prefill, then decoding, of one block a device, each device ending when its own rows are done.

The draw of step n of a row takes the key fold(fold(key(seed), prompt), n): the row's own, whatever stands beside it. Configurations of one prompt
and seed share their uniform numbers, so that they are compared on the same luck; prompts do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from samplerfuzz import samplers
from samplerfuzz.llama.decoding import run_advance, run_start
from samplerfuzz.llama.model import LlamaModel
from samplerfuzz.probe.batch.sharding import DATA, ROWS


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a batch as one stacked pytree: all that a row depends on besides the model."""

    ids: jax.Array  # [B, T] int32, right-padded
    lengths: jax.Array  # [B] int32
    seeds: jax.Array  # [B] uint32
    prompt_keys: jax.Array  # [B] uint32
    chain: samplers.Chain  # every parameter [B]
    state: samplers.State | None  # what the chain remembers; None where no stage reads it


class Step(NamedTuple):
    """What is told of one step, float32 [B] nats but for `kept`."""

    surprisal: jax.Array  # of the token under what it was drawn from
    kept: jax.Array  # int32, tokens that could be drawn
    model_surprisal: jax.Array  # of the token under the model itself, at T = 1
    model_entropy: jax.Array  # of the model's own distribution


class Answer(NamedTuple):
    """What comes out, rows first."""

    tokens: jax.Array  # [B, N] int32, -1 after the end
    ended: jax.Array  # [B] bool
    steps: Step  # each [B, N]


@cache
def compiled(mesh: Mesh, *, room: int, capacity: int) -> Callable[..., Answer]:
    """Return the function `(model, rows, ends, until) -> Answer`, which compiles once for all rows of one shape.

    Args:
      mesh: of `sharding`; a row's arrays are cut along `data`.
      room: tokens N that can be recorded.
      capacity: positions of a row, prompt and continuation.
    """
    whole = PartitionSpec()
    per_device = jax.shard_map(
        partial(run_block, room=room, capacity=capacity),
        mesh=mesh,
        in_specs=(whole, ROWS, whole, whole),
        out_specs=ROWS,
        axis_names={DATA},
        check_vma=False,
    )
    return jax.jit(per_device)


def run_block(model: LlamaModel, rows: Rows, ends: jax.Array, until: jax.Array, *, room: int, capacity: int) -> Answer:
    """Continue the rows of one device."""
    keys = jax.vmap(lambda seed, prompt: jax.random.fold_in(jax.random.key(seed), prompt))(rows.seeds, rows.prompt_keys)
    params = (rows.chain, keys)
    unused = jax.random.key(0)
    decoding = run_start(
        model, rows.ids, rows.lengths, (jnp.uint32(0), rows.state), params, unused, ends, sample=_sample, room=room, capacity=capacity
    )
    decoding = run_advance(model, decoding, params, unused, ends, until, sample=_sample)
    return Answer(decoding.tokens, decoding.ended, jax.tree.map(jnp.transpose, decoding.info))


def _sample(params: Any, _: jax.Array, logits: jax.Array, state: Any) -> tuple[jax.Array, Any, Step]:
    """Draw with a key a row: the `sample` of `samplerfuzz.llama.decoding`, whose own key is one for all rows."""
    (chain, keys), (step, own) = params, state
    tokens, own, info = samplers.sample(jax.vmap(jax.random.fold_in, (0, None))(keys, step), chain, logits, own)
    logs = jax.nn.log_softmax(logits, axis=-1)
    drawn = jnp.take_along_axis(logs, jnp.maximum(tokens, 0)[:, None], axis=-1)[:, 0]
    told = Step(
        surprisal=info["surprisal"],
        kept=info["kept"],
        model_surprisal=-drawn,
        model_entropy=-jnp.sum(jnp.exp(logs) * logs, axis=-1),
    )
    return tokens, (step + 1, own), told
