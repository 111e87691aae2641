"""The sampling step: a chain and the draw as one function, which reads the vocabulary once where it can.

A chain that cuts keeps a few tokens. They are looked for on the shortlist of the row (module shortlist): where the cut turns out to
lie above its bar, the whole rest of the chain and the draw run on those few tokens and give what they would give on the row. The rows for which that is not
so try a longer shortlist and at last go through the chain as they are, a few at a time. So the cost of a step is that of its rows, one by one, and no row changes what another gets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.samplers.chain import Chain
from samplerfuzz.samplers.draw import NOTHING, choose, random_fractions
from samplerfuzz.samplers.keys import sortable
from samplerfuzz.samplers.rows import TOGETHER, replaced
from samplerfuzz.samplers.shortlist import SIZES, Size, shortlist, taken
from samplerfuzz.samplers.stage import Cut, Info, Stage, State, least, poisoned
from samplerfuzz.samplers.tiles import count
from samplerfuzz.samplers.wide import Wide


def sample(key: jax.Array, chain: Chain | Stage, logits: Any, state: State | None = None) -> tuple[jax.Array, State | None, Info]:
    """Draw one token a row from what the chain makes of the logits.

    The same tokens as `draw(key, chain(logits, state)[0])` for float32 logits, and the state of `chain.accept`, sooner.

    Args:
      key: a JAX random key, or one for each row [B].
      chain: the stages; their parameters are traced, so that new values compile nothing.
      logits: [B, V], any float dtype; −inf marks a masked token. The work is done in float32.
      state: what is known of the steps before, for stages that read it; `chain.begin` it once before the first step.

    Returns:
      Tokens int32 [B], −1 for a row with nothing to draw from; the state after them, None where none was given; diagnostics [B]: surprisal in nats, kept.

    Raises:
      ParameterError: logits of another rank or dtype, or parameters that do not fit the rows.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from samplerfuzz import samplers
      >>> step = samplers.chain(samplers.temperature(0.5), samplers.top_k(1))
      >>> samplers.sample(jax.random.key(0), step, jnp.array([[1.0, 3.0, 2.0]]))[0]
      Array([1], dtype=int32)
    """
    given = jnp.asarray(logits)
    if given.ndim != 2 or given.shape[-1] == 0 or not jnp.issubdtype(given.dtype, jnp.floating):
        raise ParameterError(f"logits have shape {given.shape} and dtype {given.dtype}; expected floats [B, V] with V ≥ 1")
    return _sample(key, chain if isinstance(chain, Chain) else Chain((chain,)), given, state)


@jax.jit
def _sample(key: jax.Array, chain: Chain, logits: jax.Array, state: State | None) -> tuple[jax.Array, State | None, Info]:
    before, after = _split(chain)
    z, _, told = before(logits.astype(jnp.float32), state)
    rows, vocabulary = z.shape
    refused = poisoned(after, rows)[:, 0]
    cuts = any(isinstance(stage, Cut) for stage in after.stages)
    # of few rows hardly one is undecided, and every way that might be taken costs time to pass by
    sizes = SIZES if rows > TOGETHER else SIZES[:1]
    drawn = _drawn(random_fractions(key, rows), after.stages, z, [size for size in sizes if cuts and size.pays(vocabulary)])
    token = jnp.where(refused, NOTHING, drawn.token)
    if state is not None:
        state = chain.accept(state, token, (*told, *({} for _ in after.stages)))  # what comes after remembers nothing
    return token, state, drawn.info(refused)


def _split(chain: Chain) -> tuple[Chain, Chain]:
    """Return the chain up to the last stage that needs ids or state, and the rest."""
    first = 1 + max((i for i, stage in enumerate(chain.stages) if not stage.masked_is_deleted), default=-1)
    return Chain(chain.stages[:first]), Chain(chain.stages[first:])


class Drawn(NamedTuple):
    """What came out, [B] each."""

    token: jax.Array  # int32, −1: nothing
    surprisal: jax.Array  # float32
    kept: jax.Array  # int32

    def info(self, refused: jax.Array) -> Info:
        """Return the diagnostics, those of the refused rows saying so."""
        return {"surprisal": jnp.where(refused, jnp.nan, self.surprisal), "kept": jnp.where(refused, 0, self.kept)}


def _drawn(fractions: Wide, stages: Sequence[Stage], z: jax.Array, sizes: Sequence[Size]) -> Drawn:
    """Draw by shortlists of these sizes, the next for the rows that one does not decide, and at last by the rows themselves."""
    return _on_shortlist(fractions, stages, z, sizes) if sizes else _on_rows(fractions, stages, z)


def _on_rows(fractions: Wide, stages: Sequence[Stage], z: jax.Array) -> Drawn:
    """Run the stages on whole rows and draw."""
    poison = jnp.any(jnp.isnan(z), axis=-1)
    return _draw(fractions, _processed(stages, jnp.where(poison[:, None], 0.0, z)), poison)


def _processed(stages: Sequence[Stage], z: jax.Array) -> jax.Array:
    for stage in stages:
        if isinstance(stage, Cut):
            z = jnp.where(stage.spared(z, stage.select(z, stage.measure(z))[0]), z, -jnp.inf)
        else:
            z = jnp.where(z == -jnp.inf, -jnp.inf, stage.process(z, None)[0])
    return z


def _draw(fractions: Wide, z: jax.Array, poison: jax.Array) -> Drawn:
    kept = count(z > -jnp.inf)
    empty = poison | (kept == 0)
    token, surprisal = choose(fractions, jnp.where(empty[:, None], 0.0, z))
    return Drawn(jnp.where(empty, NOTHING, token), jnp.where(empty, jnp.nan, surprisal), jnp.where(empty, 0, kept))


def _on_shortlist(fractions: Wide, stages: Sequence[Stage], z: jax.Array, sizes: Sequence[Size]) -> Drawn:
    """Run the stages on the shortlists and draw; then do those rows again, at more length, for which that decided nothing."""
    rows, vocabulary = z.shape
    short = shortlist(z, sizes[0])
    out = jnp.where(short.poisoned[:, None], 0.0, short.logits)
    # the rest of a row, for which the first entry of its shortlist stands: all there, or gone, or, where neither, unknown
    there, gone = out[:, 0] > -jnp.inf, out[:, 0] == -jnp.inf
    risen: list[Stage] = []
    for stage in stages:
        neutral = _or_nowhere(stage.neutral(rows, vocabulary), rows)
        rises = _or_nowhere(stage.rises(rows), rows)
        if isinstance(stage, Cut):
            kept = stage.spared(out, stage.select(out, _measured(stage, out, risen, z, there & ~neutral))[0])
            # of equal tokens it may keep some: the rest of the row is known to be gone where the least one kept lies above it
            sound = there if stage.keeps_ties else there & (sortable(least(out, kept)) > sortable(out[:, 0]))
            out = jnp.where(kept, out, -jnp.inf)
        else:
            out = _processed([stage], out)
            sound = there & rises
        gone |= sound & (out[:, 0] == -jnp.inf)
        there &= (neutral | rises) & ~gone
        if stage.rises(rows) is not None:
            risen.append(stage)
    decided = (gone & short.complete) | short.poisoned
    found = _draw(fractions, out, short.poisoned)
    ids = taken(short.ids, jnp.maximum(found.token, 0)[:, None])[:, 0]
    found = found._replace(token=jnp.where(found.token < 0, NOTHING, ids))
    again = (fractions, _per_row(stages, rows), z)
    return replaced(found, ~decided, lambda given: _drawn(*given, sizes[1:]), again)


def _or_nowhere(rows_where: jax.Array | None, rows: int) -> jax.Array:
    return jnp.zeros((rows,), bool) if rows_where is None else rows_where[:, 0]


def _measured(stage: Cut, out: jax.Array, risen: Sequence[Stage], z: jax.Array, needed: jax.Array) -> Any:
    """Return what the stage has to know: of the shortlist, or, where `needed`, of the row that the stages before it have `risen`."""

    def measure(given: tuple[tuple[Stage, ...], jax.Array]) -> Any:
        (*before, last), own = given
        return last.measure(_processed(before, own))  # type: ignore[attr-defined]

    of_shortlist = stage.measure(out)
    if of_shortlist is None:
        return None
    return replaced(of_shortlist, needed, measure, (_per_row((*risen, stage), z.shape[0]), z))


def _per_row(stages: Sequence[Stage], rows: int) -> tuple[Stage, ...]:
    return tuple(stage.per_row(rows) for stage in stages)
