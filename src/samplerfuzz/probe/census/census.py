"""The census: score every id, choose whom to ask, ask, and hold each indicator against the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from samplerfuzz.llama.model import LlamaModel
from samplerfuzz.llama.tokenizer import Tokenizer
from samplerfuzz.probe.census.categories import ORDINARY, SPECIAL, categories
from samplerfuzz.probe.census.contexts import Contexts, contexts
from samplerfuzz.probe.census.indicators import auc, indicators
from samplerfuzz.probe.census.verification import PROMPTS, THRESHOLD, Prompt, Verified, verify

# bytes that stand in no UTF-8 text: a token that has one is never trained
IMPOSSIBLE = frozenset({0xC0, 0xC1, *range(0xF5, 0x100)})


@dataclass(frozen=True, kw_only=True)
class Score:
    """How well one indicator tells the verified tokens among those that were asked at random and as candidates.

    Attributes:
      indicator: its name; "E_out." or "E_in." before it where the model has two spaces.
      auc: over the controls only, who were drawn at random: NaN where none of them was verified.
      candidates, verified: how many of the lowest share by this indicator were asked, and verified.
      low, high: 95 % Wilson interval of verified / candidates.
      recall: share of all verified tokens that are among these candidates.
      matched: share that was verified among the controls with the nearest ids, one for each candidate: in a BPE vocabulary ids follow the order
        of merging, so they are about as frequent; `matched_low` and `matched_high` are its interval.
    """

    indicator: str
    auc: float
    candidates: int
    verified: int
    low: float
    high: float
    recall: float
    matched: float
    matched_low: float
    matched_high: float

    @property
    def precision(self) -> float:
        """Share of the candidates that were verified."""
        return self.verified / self.candidates if self.candidates else float("nan")


@dataclass(frozen=True, kw_only=True)
class Census:
    """What is known of every id of a vocabulary of V.

    Attributes:
      category: [V].
      unused: ids taken for unused, from which the indicators measure; `why` says how they are known.
      indicators: name -> [V], low is suspicious.
      contexts: arg-min and arg-max counts.
      asked: ids with the probabilities of saying them.
      controls: the ids among them that were drawn at random.
      scores: of each indicator, over the ids that were asked.
    """

    category: np.ndarray
    unused: np.ndarray
    why: str
    indicators: dict[str, np.ndarray]
    contexts: Contexts
    asked: Verified
    controls: np.ndarray
    scores: list[Score]

    @property
    def repeats(self) -> bool:
        """Whether the model repeats what it is shown at all: most of the ids drawn at random. Else its answers tell nothing of a token."""
        return bool((self.asked.most[np.isin(self.asked.ids, self.controls)] >= THRESHOLD).mean() > 0.5)

    @property
    def anomalous(self) -> np.ndarray:
        """Ids that a model which repeats cannot say, the least likely first; special tokens, which it need not, are left out."""
        if not self.repeats:
            return np.zeros(0, np.int64)
        order = np.argsort(self.asked.most, kind="stable")
        ids = self.asked.ids[order]
        return np.asarray(ids[(self.asked.most[order] < THRESHOLD) & (self.category[ids] != SPECIAL)])


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Whom to ask: the lowest `share` of every indicator, and `controls` ids drawn at random; `everyone`: all ids."""

    share: float = 0.05
    controls: int = 3000
    everyone: bool = False
    contexts: int = 1024
    seed: int = 1


def census(
    model: LlamaModel,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    plan: Plan,
    file: Path | None = None,
    tell: Callable[[str, int, int], None] = lambda stage, done, of: None,
) -> Census:
    """Take the census of a model.

    Args:
      texts: with which the contexts begin.
      plan: whom to ask.
      file: where answers are kept, so that a killed run goes on.
      tell: hears what is being done, and how much of it is done, of how much.
    """
    size = model.config.vocab_size
    tell("categories and indicators", 0, 1)
    category = categories(tokenizer, size)
    unused, why = _unused(tokenizer, category)
    found = _indicators(model, unused)
    begun = [tokenizer.encode(text) or list(tokenizer.eos_ids[:1]) for text in texts]
    met = contexts(model, begun, wanted=plan.contexts, seed=plan.seed, tell=lambda done, of: tell("contexts", done, of))
    lowest = {name: np.argsort(values, kind="stable")[: max(1, round(plan.share * size))] for name, values in found.items()}
    lowest["argmin"] = np.flatnonzero(met.argmin)
    controls = np.random.default_rng(plan.seed).choice(size, min(plan.controls, size), replace=False)
    asked = np.unique(np.concatenate([controls, *lowest.values()])) if not plan.everyone else np.arange(size)
    # controls and the worst candidates first: whatever is done when a run is stopped says something of both
    first = np.argsort(found[next(name for name in found if name.endswith("combined"))][asked], kind="stable")
    mixed = np.concatenate([controls, asked[first][~np.isin(asked[first], controls)]])
    prompts = [Prompt(beginning=tokenizer.encode(before), between=tokenizer.encode(between)) for before, between in PROMPTS]
    verified = verify(model, prompts, mixed, file=file, tell=lambda done, of: tell("verification", done, of))
    scores = [score(name, lowest[name], found.get(name), verified, controls, category) for name in lowest]
    return Census(
        category=category, unused=unused, why=why, indicators=found, contexts=met, asked=verified, controls=controls, scores=scores
    )


def score(
    name: str, candidates: np.ndarray, values: np.ndarray | None, asked: Verified, controls: np.ndarray, category: np.ndarray
) -> Score:
    """Hold an indicator against the answers; special tokens count for nothing."""
    ordinary = category[asked.ids] != SPECIAL
    bad = set(asked.ids[ordinary & (asked.most < THRESHOLD)].tolist())
    chosen = [int(i) for i in candidates if category[i] != SPECIAL and i in set(asked.ids.tolist())]
    hits = sum(i in bad for i in chosen)
    low, high = _wilson(hits, len(chosen))
    among = np.isin(asked.ids, controls) & ordinary
    near = _nearest(np.array(chosen, np.int64), asked.ids[among])
    base = sum(int(i) in bad for i in near)
    base_low, base_high = _wilson(base, len(near))
    return Score(
        indicator=name,
        auc=auc(values[asked.ids[among]], asked.most[among] < THRESHOLD) if values is not None else float("nan"),
        candidates=len(chosen),
        verified=hits,
        low=low,
        high=high,
        recall=hits / len(bad) if bad else float("nan"),
        matched=base / len(near) if len(near) else float("nan"),
        matched_low=base_low,
        matched_high=base_high,
    )


def _nearest(candidates: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Return the controls nearest in id to the candidates, each once and none of them a candidate."""
    free = np.setdiff1d(controls, candidates)
    if not len(free):
        return free
    after = np.clip(np.searchsorted(free, candidates), 1, max(1, len(free) - 1))
    sides = np.stack([free[after - 1], free[np.minimum(after, len(free) - 1)]])
    return np.unique(sides[np.abs(sides - candidates).argmin(0), np.arange(len(candidates))])


def _wilson(hits: int, of: int) -> tuple[float, float]:
    if not of:
        return 0.0, 1.0
    interval = binomtest(hits, of).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def _unused(tokenizer: Tokenizer, category: np.ndarray) -> tuple[np.ndarray, str]:
    impossible = [i for i in range(tokenizer.vocab_size) if IMPOSSIBLE & set(tokenizer.token_bytes(i))]
    if impossible:
        return np.array(impossible), "they hold bytes that stand in no UTF-8 text"
    special = np.flatnonzero(category == SPECIAL)
    if len(special):
        return special, "special tokens, which ordinary text does not hold"
    return np.flatnonzero(category != ORDINARY), "no text is encoded to them"


def _indicators(model: LlamaModel, unused: np.ndarray) -> dict[str, np.ndarray]:
    weights = model.weights()
    own = indicators(np.asarray(weights.get("head", weights["embedding"]), np.float64), unused)
    if "head" not in weights:
        return own
    read = indicators(np.asarray(weights["embedding"], np.float64), unused)
    return {**{f"E_out.{name}": v for name, v in own.items()}, **{f"E_in.{name}": v for name, v in read.items()}}
