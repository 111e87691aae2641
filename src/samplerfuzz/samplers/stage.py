"""A stage of a sampler: a frozen dataclass whose parameters are pytree leaves, and what every stage has in common.

Common to all stages, and stated once: a masked token (−inf) stays masked; a row that holds a NaN, or whose parameter is NaN, comes
out as NaN, visibly refused, and no other row is touched; a row that is all −inf stays so; work is done in float32.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self, final

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.samplers import tiles
from samplerfuzz.samplers.keys import largest_threshold, sortable
from samplerfuzz.samplers.parameter import column, integer, whole
from samplerfuzz.samplers.pytree import pytree
from samplerfuzz.samplers.rows import replaced
from samplerfuzz.samplers.shortlist import SHORTEST, shortlist

Info = dict[str, jax.Array]
_LARGEST = 3.4028234663852886e38


@pytree
@dataclass(frozen=True)
class State:
    """What a chain knows of the steps before: the tokens so far, and what its stages remember.

    A value like any other: `chain.begin` makes a fresh one, `chain.accept` the next one, and a copy is a clone.
    """

    history: jax.Array  # [B, T] int32, padded at the end with anything
    lengths: jax.Array  # [B] int32, tokens of each row
    prompt_lengths: Any = None  # [B] int32, how many of them are the prompt's; None: none is known to be
    memory: Mapping[str, Any] = field(default_factory=dict)  # stage -> what it remembers, pytrees of [B] float32

    def append(self, tokens: jax.Array) -> State:
        """Return the state with one more token a row [B]; a full buffer forgets its oldest token."""
        capacity = self.history.shape[1]
        full = self.lengths >= capacity
        history = jnp.where(full[:, None], jnp.roll(self.history, -1, axis=1), self.history)
        at = jnp.minimum(self.lengths, capacity - 1)
        history = jnp.where(jnp.arange(capacity, dtype=jnp.int32)[None] == at[:, None], tokens[:, None].astype(history.dtype), history)
        prompt = self.prompt_lengths
        if prompt is not None:
            prompt = jnp.where(full, jnp.maximum(prompt - 1, 0), prompt)
        return replace(self, history=history, lengths=jnp.minimum(self.lengths + 1, capacity), prompt_lengths=prompt)


class Stage(abc.ABC):
    """One technique with its parameters. Call it: `logits, state, info = stage(logits, state)`.

    A stage that remembers more than tokens has a `memory_name`, under which `State.memory` keeps what `begin` and `accept` return.

    Attributes:
      masked_is_deleted: whether masking a token is deleting it, and neither ids nor a state are read. Such a stage can be run on the few tokens that an
        earlier one left (module shortlist).
    """

    memory_name: ClassVar[str] = ""
    masked_is_deleted: ClassVar[bool] = False

    def rises(self, rows: int) -> jax.Array | None:
        """Return in which rows bool [B, 1] the result never falls as the logit rises, and depends on that logit and the row's largest alone.

        None: in no row, whatever the parameters.
        """
        return None

    def neutral(self, rows: int, vocabulary: int) -> jax.Array | None:
        """Return in which rows bool [B, 1] the parameters change nothing whatever the logits; None: in no row, as far as is known."""
        return None

    def per_row(self, rows: int) -> Self:
        """Return the stage with one value a row of every parameter, so that some of its rows can be taken."""
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (rows,)), self)

    def begin(self, rows: int) -> Any:
        """Return the memory of `rows` rows that have seen nothing: a pytree of float32 [B]."""
        return None

    def accept(self, memory: Any, tokens: jax.Array, info: Info) -> Any:
        """Return the memory after `tokens` int32 [B] were taken; `info` is what the stage said of that step.

        A row with a negative token is left alone.
        """
        return memory

    @final
    def recall(self, state: State | None, rows: int) -> Any:
        """Return what the stage remembers, which is nothing yet where the state does not say."""
        memory = None if state is None else state.memory.get(self.memory_name)
        return self.begin(rows) if memory is None else memory

    @abc.abstractmethod
    def process(self, z: jax.Array, state: State | None) -> tuple[jax.Array, Info]:
        """Return the processed logits and the diagnostics of float32 logits [B, V] without NaN."""

    @final
    def __call__(self, logits: Any, state: State | None = None) -> tuple[jax.Array, State | None, Info]:
        """Apply the technique.

        Args:
          logits: [B, V] or [V], any float dtype; −inf marks a masked token.
          state: the tokens so far, for stages that read them.

        Returns:
          logits of the shape and dtype given, computed in float32, removed tokens −inf; the state, unchanged; diagnostics, `kept` among them, [B] each, or
          [B, V] where a stage that remembers will need them in `accept`.

        Raises:
          ParameterError: logits of another rank or dtype, or parameters that do not fit the rows.
        """
        given = jnp.asarray(logits)
        if given.ndim not in (1, 2) or given.shape[-1] == 0 or not jnp.issubdtype(given.dtype, jnp.floating):
            raise ParameterError(f"logits have shape {given.shape} and dtype {given.dtype}; expected floats [B, V] or [V] with V ≥ 1")
        return _applied(self, given, state)


@dataclass(frozen=True)
class Filter(Stage):
    """A stage that removes tokens and changes no logit of those that stay.

    `min_tokens_to_keep` m is a parameter of every filter: the m tokens that the filter ranks first stay whatever it decides, ties of the m-th
    included. None, and m ≤ 1 where the filter never leaves nothing, changes nothing.
    """

    masked_is_deleted: ClassVar[bool] = True

    min_tokens_to_keep: Any = field(default=None, kw_only=True)

    @abc.abstractmethod
    def keep(self, z: jax.Array) -> tuple[jax.Array, Info]:
        """Return which tokens stay, bool [B, V], and the diagnostics."""

    def ranking(self, z: jax.Array) -> jax.Array:
        """Return uint32 keys [B, V] that are larger for the tokens this filter keeps first; masked tokens have the least."""
        return sortable(z)

    def spare(self, z: jax.Array, kept: jax.Array, count: jax.Array) -> jax.Array:
        """Return `kept` [B, V] and what else stays so that `count` int32 [B, 1] are left."""
        keys = self.ranking(z)
        threshold = largest_threshold(lambda t: tiles.count(keys >= t) >= count[:, 0], count[:, 0] > 1)
        return kept | ((count > 1) & (keys >= threshold))

    @final
    def spared(self, z: jax.Array, kept: jax.Array) -> jax.Array:
        """Return `kept` [B, V] and what `min_tokens_to_keep` adds to it."""
        if self.min_tokens_to_keep is None:
            return kept
        return self.spare(z, kept, whole(column("min_tokens_to_keep", self.min_tokens_to_keep, z.shape[0])))

    @final
    def keeping(self, min_tokens_to_keep: ArrayLike) -> Self:
        """Return this filter with a least number of tokens that it leaves, scalar or [B]; 1 is neutral."""
        return replace(self, min_tokens_to_keep=integer("min_tokens_to_keep", min_tokens_to_keep))

    @final
    def process(self, z: jax.Array, state: State | None) -> tuple[jax.Array, Info]:
        """Mask what `keep` does not keep and `min_tokens_to_keep` does not spare."""
        kept, info = self.keep(z)
        return jnp.where(self.spared(z, kept), z, -jnp.inf), info


class Cut(Filter):
    """A filter that removes the low end of a row: of two tokens that are not equal it never keeps the lower alone.

    What it has to know of the row as a whole is measured first, so that where the cut lies can be found among the largest tokens alone.
    """

    @property
    def keeps_ties(self) -> bool:
        """Whether equal tokens stay together."""
        return True

    def measure(self, z: jax.Array) -> Any:
        """Return what `select` has to know of the whole row besides its largest tokens: a pytree of [B, ...], or None."""
        return None

    @abc.abstractmethod
    def select(self, z: jax.Array, measured: Any) -> tuple[jax.Array, Info]:
        """Return which tokens stay, bool [B, V], and the diagnostics; right for any set of largest tokens of a row that holds more than those that stay."""

    @final
    def keep(self, z: jax.Array) -> tuple[jax.Array, Info]:
        """Cut the rows, where possible at the level found on their shortlists."""
        measured = self.measure(z)
        rows, vocabulary = z.shape
        if not (self.keeps_ties and SHORTEST.pays(vocabulary)):
            return self.select(z, measured)
        short = shortlist(z)
        listed, info = self.select(short.logits, measured)
        level = jnp.min(jnp.where(listed, sortable(short.logits), sortable(jnp.float32(jnp.inf))), axis=-1, keepdims=True)
        off = jnp.zeros((rows, 1), bool) if (neutral := self.neutral(rows, vocabulary)) is None else neutral
        found = off | (sortable(z) >= level), info
        sure = off[:, 0] | (short.complete & (~listed[:, 0] | (short.logits[:, 0] == -jnp.inf)))
        return replaced(found, ~sure, lambda given: given[0].select(*given[1:]), (self.per_row(rows), z, measured))


def least(z: jax.Array, kept: jax.Array) -> jax.Array:
    """Return the least kept logit of each row [B]; +inf of none."""
    return jnp.min(jnp.where(kept, z, jnp.inf), axis=-1)


def finite(shifted: jax.Array, z: jax.Array) -> jax.Array:
    """Bring what overflowed back to the largest finite float32; what was infinite in `z` stays as it was there."""
    inside = jnp.clip(shifted, -_LARGEST, _LARGEST)
    return jnp.where(jnp.isinf(z), z, inside)


def in_dtype(out: jax.Array, dtype: Any) -> jax.Array:
    """Return float32 logits in another float dtype; what is finite stays finite where the dtype has a smaller range."""
    if dtype == jnp.float32:
        return out
    largest = float(jnp.finfo(dtype).max)
    return jnp.where(jnp.isfinite(out), jnp.clip(out, -largest, largest), out).astype(dtype)


@jax.jit
def _applied(stage: Stage, given: jax.Array, state: State | None) -> tuple[jax.Array, State | None, Info]:
    raw = given.astype(jnp.float32).reshape(-1, given.shape[-1])
    refused = jnp.any(jnp.isnan(raw), axis=-1, keepdims=True) | poisoned(stage, raw.shape[0])
    z = jnp.where(refused, 0.0, raw)
    out, info = stage.process(z, state)
    out = jnp.where(z == -jnp.inf, -jnp.inf, out)
    kept = jnp.where(refused[:, 0], 0, jnp.sum(out > -jnp.inf, axis=-1, dtype=jnp.int32))
    out = in_dtype(jnp.where(refused, jnp.nan, out), given.dtype)
    lead = given.shape[:-1]
    return out.reshape(given.shape), state, {name: value.reshape(lead + value.shape[1:]) for name, value in {**info, "kept": kept}.items()}


def poisoned(stage: Any, rows: int) -> jax.Array:
    """Return which rows [B, 1] have a NaN among their parameters."""
    found = jnp.zeros((rows, 1), bool)
    for leaf in map(jnp.asarray, jax.tree_util.tree_leaves(stage)):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            nan = jnp.isnan(leaf)
            found |= jnp.any(nan, axis=-1, keepdims=True) if nan.ndim == 2 else column(type(stage).__name__, nan, rows)
    return found
