"""Replication of "Sampling at negative temperature" (D. Kauffman, 2023): what a model prints at T = −0.001, and what was claimed of those tokens.

Three claims, each with controls, an interval and a verdict:
1. the tokens lie near the centre of the embeddings: nearer to the centroid than controls, and with a mean cosine to all others nearer to the usual one;
2. the model has little idea of them: when their id is repeated before it, it does not give it a probability of 0.01 again;
3. at T > 0 it will not say them even when told to: no text after any instruction holds them, neither greedily nor drawn at T = 1.
Controls are ordinary tokens of the nearest ids: in a BPE vocabulary ids follow the order of merging, so neighbours are about as frequent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from samplerfuzz import samplers
from samplerfuzz.llama.decoding import generate
from samplerfuzz.llama.model import LlamaModel
from samplerfuzz.llama.tokenizer import Tokenizer
from samplerfuzz.probe.atlas import last_logits
from samplerfuzz.probe.census.categories import ORDINARY, categories
from samplerfuzz.probe.census.verification import PROMPTS, THRESHOLD, Prompt, verify
from samplerfuzz.probe.hull import INTERIOR, OPEN, VERTEX, certificates
from samplerfuzz.probe.loops import Loop, loop_of
from samplerfuzz.probe.replication.claims import Claim, lower, share
from samplerfuzz.probe.replication.variants import ROUNDINGS, least_of_random_states, rounded, shuffled

PROMPT, COLD = "Temperature is a concept", 0.001
# what stands before and after the token that the model is told to say
INSTRUCTIONS = (
    ('Say this word and nothing else: "', '"\nThe word is: "'),
    ("Repeat after me: ", "\n"),
    ("Question: What is written between the brackets? [", "]\nAnswer:"),
)
_BATCH, _SAID_WITHIN, _RANDOM = 64, 8, 512


@dataclass(frozen=True, kw_only=True)
class Against:
    """A share of the printed tokens beside the same share of their controls."""

    printed: float
    controls: float


@dataclass(frozen=True, kw_only=True)
class Replication:
    """What was found.

    Attributes:
      texts: at T = −0.001, of the experiment's prompt and then of the others, as ids; `ordinary` is the first at T = 0.001.
      loops: of the texts.
      counts: how often each distinct ordinary id was printed, over all texts.
      printed: the ids among them that were examined.
      controls: ids.
      claims: what was claimed of them.
      stability: kind of rounding of the weights -> share of contexts that keep their least likely token.
      shuffled: who is least likely somewhere when the blocks' weights are shuffled.
      random_states: who is least likely for some random hidden state.
      hull: kind of certificate -> share of each.
    """

    texts: list[list[int]]
    ordinary: list[int]
    loops: list[Loop]
    counts: dict[int, int]
    printed: np.ndarray
    controls: np.ndarray
    claims: list[Claim]
    stability: dict[str, float]
    shuffled: Against
    random_states: Against
    hull: dict[str, Against]


def replicate(
    model: LlamaModel,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    new_tokens: int = 64,
    examined: int = 128,
    instructions: int = len(INSTRUCTIONS),
    seed: int = 1,
    tell: Callable[[str], None] = lambda stage: None,
) -> Replication:
    """Replicate the experiment.

    Args:
      texts: prompts besides the experiment's own, so that there are tokens enough to test.
      new_tokens: of each text.
      examined: how many of the printed tokens are examined at most; the most printed ones.
      instructions: how many of the instructions to say a token are tried.
      seed: of controls, resampling, draws and random states.
      tell: hears what is being done.
    """
    rng = np.random.default_rng(seed)
    prompts = [tokenizer.encode(text) or list(tokenizer.eos_ids[:1]) for text in (PROMPT, *texts)]
    tell(f"texts at T = −0.001 after {len(prompts)} prompts")
    cold = _texts(model, prompts, -COLD, new_tokens, seed)
    warm = _texts(model, prompts[:1], COLD, new_tokens, seed)
    kinds = categories(tokenizer, model.config.vocab_size)
    counts = Counter(i for row in cold for i in row if kinds[i] == ORDINARY)
    printed = np.array(sorted(token for token, _ in counts.most_common(examined)), np.int64)
    controls = neighbours(printed, np.setdiff1d(np.flatnonzero(kinds == ORDINARY), list(counts)), rng)
    everyone, own = np.concatenate([printed, controls]), len(printed)
    tell(f"whether the model can say {len(everyone)} tokens")
    asked = verify(model, [Prompt(beginning=tokenizer.encode(a), between=tokenizer.encode(b)) for a, b in PROMPTS], everyone)
    said = np.zeros(len(everyone), bool)
    for number, (before, after) in enumerate(INSTRUCTIONS[:instructions], start=1):
        tell(f"whether it says them when told to, instruction {number} of {instructions}")
        said |= _says(model, tokenizer.encode(before), tokenizer.encode(after), everyone, seed)
    rows = _output_rows(model)
    distance, cosine = _distance(rows), _unusual_cosine(rows)
    claims = [
        lower("the tokens lie near the centroid of the embeddings", "chance that one is nearer than a control",
              distance[printed], distance[controls], rng),
        lower("their cosine to other tokens is the usual one", "chance that one's mean cosine is more usual than a control's",
              cosine[printed], cosine[controls], rng),
        share("the model has little idea of them", f"share with a probability below {THRESHOLD}",
              asked.most[:own] < THRESHOLD, asked.most[own:] < THRESHOLD),
        share("at T > 0 it will not say them even when told to", "share not said", ~said[:own], ~said[own:]),
    ]  # fmt: skip
    contexts = [[*prompts[0], *cold[0][:n]] for n in range(0, new_tokens, 2)] + prompts[1:]
    least = last_logits(model, contexts).argmin(-1)
    stability = {}
    for kind in ROUNDINGS:
        tell(f"control: weights as {kind}")
        stability[kind] = float((last_logits(rounded(model, kind), contexts).argmin(-1) == least).mean())
    tell("controls: shuffled weights, random hidden states, the hull of the embeddings")
    other = last_logits(shuffled(model, rng), contexts).argmin(-1)
    random = least_of_random_states(model, _RANDOM, seed)
    vertices = np.array([found.kind for found in certificates(rows, everyone.tolist())])
    return Replication(
        texts=cold,
        ordinary=warm[0],
        loops=[loop_of(row) for row in cold],
        counts=dict(counts.most_common()),
        printed=printed,
        controls=controls,
        claims=claims,
        stability=stability,
        shuffled=_against(np.isin(everyone, other), own),
        random_states=_against(np.isin(everyone, random), own),
        hull={kind: _against(vertices == kind, own) for kind in (VERTEX, INTERIOR, OPEN)},
    )


def neighbours(printed: np.ndarray, free: np.ndarray, rng: np.random.Generator, each: int = 4) -> np.ndarray:
    """Return controls: for each printed id, some of the nearest ids of `free`, each once."""
    chosen: list[int] = []
    for token in rng.permutation(printed):
        near = free[np.argsort(np.abs(free - token), kind="stable")[: 8 * each]]
        picked = rng.choice(near, min(each, len(near)), replace=False)
        chosen += picked.tolist()
        free = np.setdiff1d(free, picked)
    return np.array(sorted(chosen), np.int64)


def _against(holds: np.ndarray, own: int) -> Against:
    of = [float(part.mean()) if len(part) else float("nan") for part in (holds[:own], holds[own:])]
    return Against(printed=of[0], controls=of[1])


def _texts(model: LlamaModel, prompts: Sequence[Sequence[int]], temperature: float, count: int, seed: int) -> list[list[int]]:
    chain = samplers.chain(samplers.temperature(temperature))
    return generate(model, prompts, sample=_draw, sampler_params=chain, key=jax.random.key(seed), max_new_tokens=count).rows()


def _draw(chain: samplers.Chain, key: jax.Array, logits: jax.Array, state: Any) -> tuple[jax.Array, Any, Any]:
    token, _, _ = samplers.sample(key, chain, logits)
    return token, state, ()


def _says(model: LlamaModel, before: list[int], after: list[int], ids: np.ndarray, seed: int) -> np.ndarray:
    """Return [N] bool: greedy text after the instruction, or text drawn at T = 1, holds the id."""
    said = []
    for begin in range(0, len(ids), _BATCH):
        part = ids[begin : begin + _BATCH].tolist()
        told = [[*before, token, *after] for token in [*part, *part[:1] * (_BATCH - len(part))]]
        rows = zip(*(_texts(model, told, temperature, _SAID_WITHIN, seed) for temperature in (0.0, 1.0)), strict=True)
        said += [any(token in row for row in both) for token, both in zip(part, rows, strict=False)]
    return np.array(said, bool)


def _output_rows(model: LlamaModel) -> np.ndarray:
    weights = model.weights()
    return np.asarray(weights.get("head", weights["embedding"]).astype(jnp.float32), np.float64)


def _distance(rows: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(rows - rows.mean(0), axis=1))


def _unusual_cosine(rows: np.ndarray) -> np.ndarray:
    """Return [V] how far each token's mean cosine to all tokens is from the median one."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    mean = unit @ unit.mean(0)
    return np.asarray(np.abs(mean - np.median(mean)))
