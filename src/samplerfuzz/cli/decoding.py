"""What `generate` hands to the decoding loop: a chain of samplers, and what is told of every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from samplerfuzz import samplers
from samplerfuzz.llama.prompts import bucket
from samplerfuzz.safety.statistics import chain_statistics

if TYPE_CHECKING:
    from samplerfuzz.llama.tokenizer import Tokenizer


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Step:
    """What one step tells, each `[B]`."""

    entropy: jax.Array  # float32 nats, of the distribution drawn from
    log_ratio: jax.Array  # float32 nats, log of the largest over the smallest probability among the tokens that can be drawn
    argmin: jax.Array  # int32, the token among them that the model likes least
    argmax: jax.Array  # int32, the token among them that the model likes most
    kept: jax.Array  # int32, how many they are
    statistics: jax.Array | None = None  # float32 [B, F], in the order of samplerfuzz.safety.step.FIELDS; None: not asked for


def history_of(prompts: list[list[int]], room: int) -> samplers.State:
    """Return the state that holds `prompts` and has room for that many tokens more: the penalties read both. A chain has yet to begin it."""
    tokens = np.zeros((len(prompts), bucket(bucket(max(map(len, prompts))) + room)), np.int32)
    for row, prompt in enumerate(prompts):
        tokens[row, : len(prompt)] = prompt
    lengths = jnp.asarray([len(prompt) for prompt in prompts], jnp.int32)
    return samplers.State(jnp.asarray(tokens), lengths, lengths)


def breaking(tokenizer: Tokenizer, texts: Sequence[str], vocabulary: int) -> np.ndarray:
    """Return which of the model's tokens contain one of the texts, bool [V]: the sequence breakers of DRY."""
    wanted = [text.encode() for text in texts]
    mask = np.zeros(vocabulary, bool)
    for token in range(min(tokenizer.vocab_size, vocabulary)):
        mask[token] = any(text in tokenizer.token_bytes(token) for text in wanted)
    return mask


def sample(chain: samplers.Chain, key: jax.Array, logits: jax.Array, state: samplers.State) -> tuple[jax.Array, samplers.State, Step]:
    """Apply the chain to the logits `[B, V]` and draw: the `sample` of `samplerfuzz.llama.decoding`."""
    final, _, infos = chain(logits, state)
    tokens, _ = samplers.draw(key, final)
    return tokens, chain.accept(state, tokens, infos), describe(logits, final)


def watched(chain: samplers.Chain, key: jax.Array, logits: jax.Array, state: samplers.State) -> tuple[jax.Array, samplers.State, Step]:
    """Do what `sample` does and measure the step."""
    final, _, infos = chain(logits, state)
    tokens, _ = samplers.draw(key, final)
    told = replace(describe(logits, final), statistics=chain_statistics(chain, logits, final, tokens, state))
    return tokens, chain.accept(state, tokens, infos), told


def describe(logits: jax.Array, final: jax.Array) -> Step:
    """Return what there is to tell of the model's logits and the chain's, both `[B, V]`; -inf in `final` is a token that cannot be drawn."""
    kept = final > -jnp.inf
    top = jnp.max(final, axis=-1)
    # +inf (a limit temperature) is a tie of certain tokens: measured from the top, their distance is zero
    shifted = jnp.where(kept, jnp.where(jnp.isposinf(final), 0.0, final - top[:, None]), -jnp.inf)
    logs = jax.nn.log_softmax(shifted, axis=-1)
    return Step(
        entropy=jnp.abs(jnp.sum(jnp.where(kept, jnp.exp(logs) * jnp.where(kept, logs, 0.0), 0.0), axis=-1)),
        log_ratio=-jnp.min(jnp.where(kept, shifted, 0.0), axis=-1),
        argmin=jnp.argmin(jnp.where(kept, logits, jnp.inf), axis=-1).astype(jnp.int32),
        argmax=jnp.argmax(jnp.where(kept, logits, -jnp.inf), axis=-1).astype(jnp.int32),
        kept=jnp.sum(kept, axis=-1).astype(jnp.int32),
    )
