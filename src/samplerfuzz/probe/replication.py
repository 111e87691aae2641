"""Replication of "Sampling at negative temperature" (D. Kauffman, 2023): what a model prints at T = −0.001, and what was claimed of those tokens.

Three claims, each with controls, an interval and a verdict:
1. the tokens lie near the centroid of the embeddings: nearer than controls;
2. the model has little idea of them: when their id is repeated before it, it does not give it a probability of 0.01 again;
3. at T > 0 it will not say them even when told to: greedy text after the instruction does not hold them.
Controls are ordinary tokens of the nearest ids: in a BPE vocabulary ids follow the order of merging, so neighbours are about as frequent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import binomtest

from samplerfuzz import samplers
from samplerfuzz.llama.decoding import generate
from samplerfuzz.llama.model import LlamaModel
from samplerfuzz.llama.tokenizer import Tokenizer
from samplerfuzz.probe.atlas import last_logits
from samplerfuzz.probe.census.categories import ORDINARY, categories
from samplerfuzz.probe.census.indicators import auc
from samplerfuzz.probe.census.verification import PROMPTS, THRESHOLD, Prompt, verify
from samplerfuzz.probe.loops import Loop, loop_of

PROMPT, COLD = "Temperature is a concept", 0.001
SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "undecided"
_CONTROLS, _RESAMPLED, _BATCH, _SAID_WITHIN, _RANDOM = 4, 2000, 64, 8, 512


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim with what was measured.

    Attributes:
      text: the claim.
      measure: what `estimate` is.
      estimate, low, high: with its 95 % interval.
      controls: the same number of the controls, where it has one; else NaN.
      verdict: supported where the interval lies on the claim's side of one half, refuted where it lies on the other.
    """

    text: str
    measure: str
    estimate: float
    low: float
    high: float
    controls: float
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Replication:
    """What was found.

    Attributes:
      inverted, ordinary: the texts at T = −0.001 and T = 0.001, as ids.
      loop: of the inverted text.
      printed: distinct ordinary ids that the model prints at T = −0.001 over all prompts.
      controls: ids.
      claims: three.
      bfloat16: share of contexts in which weights rounded to bfloat16 have the same least likely token.
      shuffled: share of the printed ids that are least likely somewhere when the blocks' weights are shuffled.
      random_states: share of them that are least likely for some random hidden state.
    """

    inverted: list[int]
    ordinary: list[int]
    loop: Loop
    printed: np.ndarray
    controls: np.ndarray
    claims: list[Claim]
    bfloat16: float
    shuffled: float
    random_states: float


def replicate(
    model: LlamaModel,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    new_tokens: int = 32,
    seed: int = 1,
    tell: Callable[[str], None] = lambda stage: None,
) -> Replication:
    """Replicate the experiment.

    Args:
      texts: prompts besides the experiment's own, so that there are tokens enough to test.
      new_tokens: of each text.
      seed: of controls, resampling and random states.
    """
    rng = np.random.default_rng(seed)
    prompts = [tokenizer.encode(text) for text in (PROMPT, *texts)]
    tell("texts at T = −0.001 and 0.001")
    cold = _texts(model, prompts, -COLD, new_tokens)
    warm = _texts(model, prompts[:1], COLD, new_tokens)
    kinds = categories(tokenizer, model.config.vocab_size)
    printed = np.array(sorted({i for row in cold for i in row if kinds[i] == ORDINARY}), np.int64)
    controls = _neighbours(printed, kinds, rng)
    everyone = np.concatenate([printed, controls])
    tell("whether the model can say them")
    asked = verify(model, [Prompt(beginning=tokenizer.encode(a), between=tokenizer.encode(b)) for a, b in PROMPTS], everyone)
    tell("whether it says them when told to")
    said = _says(model, tokenizer, everyone)
    distance = _distance(model)
    own = len(printed)
    claims = [
        _nearer("the tokens lie near the centroid of the embeddings", distance[printed], distance[controls], rng),
        _share(
            "the model has little idea of them",
            "share with a probability below 0.01",
            asked.most[:own] < THRESHOLD,
            asked.most[own:] < THRESHOLD,
        ),
        _share("at T > 0 it will not say them even when told to", "share not said", ~said[:own], ~said[own:]),
    ]
    tell("controls: bfloat16, shuffled weights, random hidden states")
    contexts = [[*prompts[0], *cold[0][:n]] for n in range(0, new_tokens, 2)] + prompts[1:]
    least = last_logits(model, contexts).argmin(-1)
    rounded = LlamaModel(model.config, {name: w.astype(jnp.bfloat16) for name, w in model.weights().items()})
    return Replication(
        inverted=cold[0],
        ordinary=warm[0],
        loop=loop_of(cold[0]),
        printed=printed,
        controls=controls,
        claims=claims,
        bfloat16=float((last_logits(rounded, contexts).argmin(-1) == least).mean()),
        shuffled=float(np.isin(printed, last_logits(_shuffled(model, rng), contexts).argmin(-1)).mean()),
        random_states=float(np.isin(printed, _least_of_random_states(model, seed)).mean()),
    )


def _texts(model: LlamaModel, prompts: Sequence[Sequence[int]], temperature: float, count: int) -> list[list[int]]:
    chain = samplers.chain(samplers.temperature(temperature))
    return generate(model, prompts, sample=_draw, sampler_params=chain, key=jax.random.key(0), max_new_tokens=count).rows()


def _draw(chain: samplers.Chain, key: jax.Array, logits: jax.Array, state: Any) -> tuple[jax.Array, Any, Any]:
    token, _, _ = samplers.sample(key, chain, logits)
    return token, state, ()


def _neighbours(printed: np.ndarray, kinds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return controls: for each printed id, some of the nearest ordinary ids that are not printed, each once."""
    free = np.setdiff1d(np.flatnonzero(kinds == ORDINARY), printed)
    chosen: list[int] = []
    for token in rng.permutation(printed):
        near = free[np.argsort(np.abs(free - token), kind="stable")[: 8 * _CONTROLS]]
        picked = rng.choice(near, min(_CONTROLS, len(near)), replace=False)
        chosen += picked.tolist()
        free = np.setdiff1d(free, picked)
    return np.array(sorted(chosen), np.int64)


def _distance(model: LlamaModel) -> np.ndarray:
    weights = model.weights()
    rows = np.asarray(weights.get("head", weights["embedding"]).astype(jnp.float32), np.float64)
    return np.linalg.norm(rows - rows.mean(0), axis=1)


def _says(model: LlamaModel, tokenizer: Tokenizer, ids: np.ndarray) -> np.ndarray:
    """Return [N] bool: greedy text after `Repeat this word: X`, told once, holds the id."""
    before, after = tokenizer.encode('Say this word and nothing else: "'), tokenizer.encode('"\nThe word is: "')
    said = []
    for begin in range(0, len(ids), _BATCH):
        part = ids[begin : begin + _BATCH]
        filled = [*part.tolist(), *part[:1].tolist() * (_BATCH - len(part))]
        rows = _texts(model, [[*before, token, *after] for token in filled], 0.0, _SAID_WITHIN)
        said += [token in row for token, row in zip(part.tolist(), rows, strict=False)]
    return np.array(said)


def _nearer(text: str, own: np.ndarray, controls: np.ndarray, rng: np.random.Generator) -> Claim:
    values = np.concatenate([own, controls])
    mine = np.arange(len(values)) < len(own)
    estimate = auc(values, mine)
    drawn = [auc(np.concatenate([rng.choice(own, len(own)), rng.choice(controls, len(controls))]), mine) for _ in range(_RESAMPLED)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Claim(
        text=text, measure="chance that one is nearer than a control", estimate=estimate, low=float(low), high=float(high),
        controls=float("nan"), verdict=_verdict(float(low), float(high)),
    )  # fmt: skip


def _share(text: str, measure: str, own: np.ndarray, controls: np.ndarray) -> Claim:
    interval = binomtest(int(own.sum()), len(own)).proportion_ci(method="wilson")
    low, high = float(interval.low), float(interval.high)
    claim = Claim(text=text, measure=measure, estimate=float(own.mean()), low=low, high=high, controls=float(controls.mean()), verdict="")
    verdict = _verdict(low, high)
    if verdict == SUPPORTED and claim.controls >= low:
        # true of them, and of any token: it is nothing that tells them apart
        verdict = UNDECIDED
    return replace(claim, verdict=verdict)


def _verdict(low: float, high: float) -> str:
    return SUPPORTED if low > 0.5 else REFUTED if high < 0.5 else UNDECIDED


def _shuffled(model: LlamaModel, rng: np.random.Generator) -> LlamaModel:
    """Return the model with the entries of every matrix of its blocks in another order; embeddings and norms stay."""
    weights = model.weights()
    blocks = {name for name in weights if name in ("query", "key", "value", "output", "gate", "up", "down")}
    return LlamaModel(
        model.config,
        {
            name: jnp.asarray(rng.permutation(np.asarray(w).ravel()).reshape(w.shape)) if name in blocks else w
            for name, w in weights.items()
        },
    )


def _least_of_random_states(model: LlamaModel, seed: int) -> np.ndarray:
    states = jax.random.normal(jax.random.key(seed), (_RANDOM, model.config.hidden_size)).astype(model.dtype)
    return np.unique(np.asarray(jnp.argmin(jax.jit(lambda model, x: model.logits(x))(model, states), -1)))
