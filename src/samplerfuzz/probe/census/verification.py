"""Whether a model can say a token: prompts that repeat the token by its id, and the probability of saying it once more.

Land & Bartolo (arXiv 2405.05417): a token whose probability stays below 0.01 over all prompts and three places is under-trained. What comes before
the token is the same for all ids, so it is computed once and its keys and values serve every batch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from samplerfuzz.core.errors import UsageError
from samplerfuzz.llama.cache import KVCache
from samplerfuzz.llama.forward import prefill
from samplerfuzz.llama.model import LlamaModel
from samplerfuzz.llama.prompts import bucket

THRESHOLD, PLACES = 0.01, 3
# what stands before the token, and between one and the next
PROMPTS = (
    ('Please repeat the string exactly, again and again: "', '", "'),
    ("Here is a list of identical items:\n- ", "\n- "),
    ("x = '", "'; x = '"),
)


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Ids of the beginning and of what stands between two tokens."""

    beginning: list[int]
    between: list[int]


@dataclass(frozen=True, kw_only=True)
class Verified:
    """Ids [N] that were asked for and, for each, the probabilities [N, prompts, 3] of saying it once more."""

    ids: np.ndarray
    p: np.ndarray

    @property
    def most(self) -> np.ndarray:
        """[N] the largest probability of each id."""
        return self.p.max((1, 2)) if len(self.ids) else np.zeros(0)


def verify(
    model: LlamaModel,
    prompts: Sequence[Prompt],
    ids: np.ndarray,
    *,
    file: Path | None = None,
    batch: int = 64,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> Verified:
    """Return what the model makes of every id.

    Args:
      prompts: in which the ids are repeated.
      ids: [N] distinct.
      file: results are added to it batch by batch, and ids that it has are not asked for again: a killed run goes on.
      batch: ids a call.
      tell: hears how many are done, of how many.

    Raises:
      UsageError: the file holds results of something else.
    """
    known = dict(_recorded(file, len(prompts))) if file is not None else {}
    todo = [int(i) for i in ids if int(i) not in known]
    prefixes = [_prefix(model, prompt) for prompt in prompts]
    for begin in range(0, len(todo), batch):
        tell(len(ids) - len(todo) + begin, len(ids))
        part = todo[begin : begin + batch]
        padded = np.array([*part, *part[:1] * (batch - len(part))], np.int32)
        p = np.stack([_asked(model, prompt, prefix, padded) for prompt, prefix in zip(prompts, prefixes, strict=True)], 1)[: len(part)]
        known.update(zip(part, p, strict=True))
        if file is not None:
            _record(file, part, p)
    tell(len(ids), len(ids))
    return Verified(ids=np.asarray(ids), p=np.array([known[int(i)] for i in ids]).reshape(-1, len(prompts), PLACES))


def _prefix(model: LlamaModel, prompt: Prompt) -> KVCache:
    length = len(prompt.beginning)
    capacity = bucket(length + PLACES * (1 + len(prompt.between)))
    _, cache = prefill(model, np.array([prompt.beginning]), capacity=capacity)
    return cache


def _asked(model: LlamaModel, prompt: Prompt, prefix: KVCache, ids: np.ndarray) -> np.ndarray:
    once = np.concatenate([ids[:, None], np.tile(np.array(prompt.between, np.int32), (len(ids), 1))], axis=1)
    return np.asarray(_follow(model, jnp.asarray(np.tile(once, (1, PLACES))), jnp.asarray(ids), prefix, every=once.shape[1]), np.float64)


@partial(jax.jit, static_argnames="every")
def _follow(model: LlamaModel, ids: jax.Array, targets: jax.Array, prefix: KVCache, *, every: int) -> jax.Array:
    """Return [B, 3]: the probability of `targets` [B] after each repetition in `ids` [B, 3·every], which go on from a prefix of one row."""
    rows = ids.shape[0]
    cache = KVCache(
        keys=jnp.repeat(prefix.keys, rows, axis=1), values=jnp.repeat(prefix.values, rows, axis=1), lengths=jnp.repeat(prefix.lengths, rows)
    )
    x, _ = model.extend(ids, cache, window=prefix.capacity)
    logits = model.logits(x[:, every - 1 :: every])
    wanted = jnp.take_along_axis(logits, targets[:, None, None], axis=-1)[..., 0]
    return jnp.exp(wanted - jax.nn.logsumexp(logits, axis=-1))


def _record(file: Path, ids: list[int], p: np.ndarray) -> None:
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"ids": ids, "p": np.round(p, 9).tolist()}) + "\n")
        lines.flush()
        os.fsync(lines.fileno())


def _recorded(file: Path, prompts: int) -> Iterator[tuple[int, np.ndarray]]:
    if not file.exists():
        return
    text = file.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        # the line that a killed run was writing
        with file.open("r+b") as torn:
            torn.truncate(whole)
    for number, line in enumerate(text[:whole].splitlines(), start=1):
        try:
            told = json.loads(line)
            p = np.array(told["p"], np.float64)
            if p.shape != (len(told["ids"]), prompts, PLACES):
                raise ValueError(f"shape {p.shape}")
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{file}, line {number}: no result of a verification ({error}); name another directory") from error
        yield from zip(told["ids"], p, strict=True)
