"""How many tokens it takes the monitors to tell a faulty sampler: defects of the zoo and wrong temperatures in a decoding loop, and the correct one beside them.

The loop reads rows of the embedded model in random order, and the sampler under test draws a token from each; the monitors know the logits, the tokens and what was declared.
A sampler that returns a distribution is drawn from exactly; one that draws is called with a fresh seed for every batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from samplerfuzz.cases.real import model_rows
from samplerfuzz.core.registry import load
from samplerfuzz.core.seeding import stream
from samplerfuzz.llama.truth import embedded_truth
from samplerfuzz.safety.declared import Declared, Law
from samplerfuzz.safety.monitors.anomalous import AnomalousTokenMonitor
from samplerfuzz.safety.monitors.support import SupportMonitor
from samplerfuzz.safety.monitors.surprisal import SurprisalMonitor
from samplerfuzz.safety.step import NUMBERS, index, statistics_of

ALPHA = 1e-4
ROWS = 128
_FIRST, _LARGEST_CHUNK = 64, 8192
_SLACK = 1.2
MONITORS = ("surprisal", "kept set", "anomalous tokens")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One sampler and what it is asked for.

    Attributes:
      name: of the fault.
      target: "module:function" of the zoo; "": the correct sampler at `factor` times the temperature.
      parameters: what is declared, and given to the function.
      order: of the declared stages.
      factor: see `target`.
    """

    name: str
    target: str = ""
    parameters: Mapping[str, float] = field(default_factory=lambda: {"temperature": 1.0})
    order: tuple[str, ...] = ("temperature",)
    factor: float = 1.0

    @property
    def declared(self) -> Declared:
        """What the monitors are told."""
        return Declared(order=self.order, parameters=self.parameters)


def _zoo(name: str, order: str, **parameters: float) -> Fault:
    module, function = name.split(":")
    return Fault(
        name=function.replace("_", " "), target=f"samplerfuzz.zoo.{module}:{function}", parameters=parameters, order=tuple(order.split())
    )


FAULTS: tuple[Fault, ...] = (
    *(Fault(name=f"the temperature is {percent:+d} % off", factor=1 + percent / 100) for percent in (1, 2, 5, 10, 25, 100, -5, -25)),
    Fault(name="the temperature 0.7 is ignored", parameters={"temperature": 0.7}, factor=1 / 0.7),
    _zoo("draws:noise_is_added_to_probabilities", "temperature", temperature=1.0),
    _zoo("temperatures:zero_temperature_still_draws", "temperature", temperature=0.0),
    _zoo("noise:noise_has_few_bits", "temperature", temperature=1.0),
    _zoo("nucleus:top_p_stops_before_the_crossing_token", "temperature top_p", temperature=1.0, top_p=0.9),
    _zoo("nucleus:top_p_without_sorting", "top_p", top_p=0.9),
    _zoo("nucleus:top_p_gathers_instead_of_scattering", "temperature top_p", temperature=1.0, top_p=0.9),
    _zoo("nucleus:top_p_keeps_the_tail", "top_p", top_p=0.9),
    _zoo("nucleus:top_p_cutoff_is_the_first_count", "top_p", top_p=0.9),
    _zoo("nucleus:top_p_means_what_is_removed", "top_p", top_p=0.9),
    _zoo("filters:top_k_keeps_one_more", "top_k", top_k=20),
    _zoo("filters:kept_logits_are_set_to_one", "top_k", top_k=20),
    _zoo("masks:removed_logits_become_nearly_zero", "top_k", top_k=20),
)
CORRECT: tuple[Fault, ...] = (
    Fault(name="temperature 1"),
    Fault(name="temperature 0.7", parameters={"temperature": 0.7}),
    Fault(name="temperature 1.5", parameters={"temperature": 1.5}),
    Fault(name="temperature 0.8, top-k 50, top-p 0.9", parameters={"temperature": 0.8, "top_k": 50, "top_p": 0.9}, order=("temperature", "top_k", "top_p")),
    Fault(name="min-p 0.05", parameters={"min_p": 0.05}, order=("min_p",)),
)  # fmt: skip


def measure(*, most: int, repeats: int, tokens: int, seed: int, tell: Callable[[str], Any] = lambda text: None) -> dict[str, Any]:
    """Return for every fault and monitor the median number of tokens to the alarm, and the false alarms of correct samplers.

    Args:
      most: tokens after which a repeat gives up.
      repeats: of every fault.
      tokens: drawn by every correct sampler of this package.
      seed: of the draws.
    """
    registry = np.flatnonzero(embedded_truth().never)
    faults = []
    for fault in FAULTS:
        tell(fault.name)
        watch = Watch(fault, registry)
        runs = [watch.run(watch.draws(stream(seed, fault.name, repeat)), most) for repeat in range(repeats)]
        found = {name: _middle([run[name] for run in runs]) for name in MONITORS}
        faults.append({"fault": fault.name, "declared": dict(fault.parameters), "tokens": found})
    clean = []
    for item in CORRECT:
        tell(item.name)
        told = Watch(item, registry).run(own_draws(item, seed), tokens, stop=False)
        clean.append({"sampler": item.name, "tokens": tokens, "alarms": {name: int(told[name] is not None) for name in MONITORS}})
    about = {"alpha": ALPHA, "rows": ROWS, "vocabulary": int(rows().shape[1]), "most": most, "repeats": repeats, "seed": seed}
    return {**about, "faults": faults, "correct": clean}


def _middle(needed: list[int | None]) -> int | None:
    middle = sorted(math.inf if n is None else n for n in needed)[len(needed) // 2]
    return None if middle == math.inf else int(middle)


@cache
def rows() -> np.ndarray:
    """Return the rows of the loop, float32 [R, V]."""
    return model_rows(ROWS)


class Watch:
    """A sampler in the loop, with what can be known of its steps in tables."""

    def __init__(self, fault: Fault, registry: np.ndarray) -> None:
        self._fault, self._registry = fault, registry
        laws = [fault.declared.law(row) for row in rows()]
        self._kept = np.stack([law.kept for law in laws])
        vectors = [statistics_of(law.logits[None], law.kept[None], [int(law.logits.argmax())], law.temperature)[0] for law in laws]
        self._vectors = np.stack(vectors)
        self._vectors[[not law.known for law in laws], len(NUMBERS) :] = np.nan
        self._law = np.stack([distribution(law, 1.0) for law in laws])
        self._off = self._law if fault.factor == 1 else np.stack([distribution(law, fault.factor) for law in laws])
        with np.errstate(divide="ignore"):
            self._excess = -np.log(self._law) - self._vectors[:, index("entropy"), None]
        # what the correct sampler emits is usual, and the null allows a little more
        self._baseline = float(np.clip(_SLACK * self._law[:, registry].sum(-1).mean(), 1e-5, 0.5))

    def run(self, draws: Iterator[tuple[np.ndarray, np.ndarray]], most: int, *, stop: bool = True) -> dict[str, int | None]:
        """Return after how many tokens each monitor raised its alarm; None: it did not. `stop`: once all have."""
        surprisal, support = SurprisalMonitor(alpha=ALPHA), SupportMonitor()
        anomalous = AnomalousTokenMonitor(self._registry, baseline=self._baseline, alpha=ALPHA)
        taken, at = 0, None
        for chosen, tokens in draws:
            vectors = self._vectors[chosen]
            vectors[:, index("excess")] = self._excess[chosen, tokens]
            before = surprisal.test.steps
            surprisal.update(vectors)
            if at is None and surprisal.test.alarm_at is not None:
                counted = np.flatnonzero(np.isfinite(vectors[:, [index("excess"), len(NUMBERS)]]).all(-1))
                at = taken + int(counted[surprisal.test.alarm_at - before - 1]) + 1
            support.update(outside=~self._kept[chosen, tokens])
            anomalous.update(tokens)
            taken += len(tokens)
            if taken >= most or (stop and surprisal.alarm and support.alarm and anomalous.alarm):
                break
        return {"surprisal": at, "kept set": support.alarm_at, "anomalous tokens": anomalous.test.alarm_at}

    def draws(self, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield rows and the tokens that the sampler under test draws from them, for ever."""
        if not self._fault.target:
            return _from(self._off, rng)
        function = load(self._fault.target)
        if function.__samplerfuzz__["returns"] == "tokens":
            return self._by_calls(function, rng)
        answer = np.asarray(function(rows(), **self._fault.parameters), np.float64)
        if function.__samplerfuzz__["returns"] == "logits":
            answer = np.exp(answer - answer.max(-1, keepdims=True))
        return _from(answer / answer.sum(-1, keepdims=True), rng)

    def _by_calls(self, function: Callable[..., Any], rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            chosen = rng.integers(0, ROWS, ROWS)
            yield chosen, np.asarray(function(rows()[chosen], **self._fault.parameters, seed=int(rng.integers(2**31))), np.int64)


def distribution(law: Law, factor: float) -> np.ndarray:
    """Return the probabilities [V] of a law at so many times its temperature."""
    z = np.where(law.kept, law.logits, -np.inf)
    gap = z - z.max()
    if law.temperature == 0:
        return np.asarray(np.arange(len(z)) == z.argmax(), np.float64)
    weight = np.exp(gap / (law.temperature * factor))
    return np.asarray(weight / weight.sum())


def _from(law: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield draws from known distributions [R, V]: in one search over all rows laid end to end."""
    upto = law.cumsum(-1)
    upto = np.where(upto >= upto[:, -1:], 1.0, upto / upto[:, -1:])
    ends = (upto + np.arange(len(law))[:, None]).ravel()
    size = _FIRST
    while True:
        chosen = rng.integers(0, len(law), size)
        yield chosen, np.searchsorted(ends, chosen + rng.random(size), side="right") - chosen * law.shape[1]
        size = min(2 * size, _LARGEST_CHUNK)


def own_draws(item: Fault, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield draws of this package's own samplers from all rows, many steps a call."""
    import jax
    import jax.numpy as jnp

    from samplerfuzz import samplers

    chain = samplers.build(item.order, dict(item.parameters))

    @jax.jit
    def steps(keys: jax.Array, z: jax.Array) -> jax.Array:
        final, _, _ = chain(z)
        return jax.lax.map(lambda key: samplers.draw(key, final)[0], keys)

    z = jnp.asarray(rows())
    for call in range(2**31):
        tokens = np.asarray(steps(jax.random.split(jax.random.fold_in(jax.random.key(seed), call), 64), z), np.int64)
        yield np.tile(np.arange(ROWS), len(tokens)), tokens.ravel()
