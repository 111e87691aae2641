"""Beliefs for whole chains, and verdicts on what a sampler returned.

Where the literature or released engines differ and the target declares nothing, each convention is a *reading*; a row is
accused only when no reading explains it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from samplerfuzz.core.registry import load, technique
from samplerfuzz.oracle.belief import Belief, Precision, start
from samplerfuzz.oracle.temperature import SMALLEST_NORMAL

FILTERS = frozenset({"top_k", "top_p", "min_p", "typical_p", "top_n_sigma", "xtc"})
_LOG_UNDERFLOW = -83.0


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One fair interpretation of a chain.

    Attributes:
      stages: reading number of each stage that has several.
      joint_mass: top-p mass measured before the neighbouring filters rather than on what they left.
    """

    stages: Mapping[str, int] = field(default_factory=dict)
    joint_mass: bool = False


def readings(
    order: Sequence[str], parameters: Mapping[str, np.ndarray], *, negative_temperature: str, joint_mass: bool | None = None
) -> Iterator[Reading]:
    """Yield the fair readings of a chain, the plainest first.

    Args:
      order: stage names.
      parameters: name -> [R].
      negative_temperature: "invert" divides by T < 0; "greedy" and "reject" know greedy only.
      joint_mass: what a dialect settles (None: both are fair).
    """
    choices: list[list[tuple[str, int]]] = []
    for stage in order:
        options = [0]
        value = np.asarray(parameters.get(technique(stage).parameters[0].name, np.zeros(1)))
        if stage == "temperature":
            options = [0, 2] if negative_temperature == "invert" else [1, 3]
            if not ((np.abs(value) < SMALLEST_NORMAL) & (value != 0)).any():
                options = options[:1]
        elif (stage in ("top_p", "typical_p") and (value <= 0).any()) or (stage == "min_p" and (value > 1).any()):
            options = [0, 1]
        elif stage == "top_n_sigma":
            options = [0, 1, 2] if (value == 0).any() else [0, 1]
        elif stage == "xtc" and (parameters.get("xtc_probability", np.ones(1)) < 1).any():
            options = [0, 1]
        choices.append([(stage, option) for option in options])
    before = order[: order.index("top_p")] if "top_p" in order else ()
    ambiguous = any(stage in FILTERS for stage in before)
    masses = [False, True] if joint_mass is None and ambiguous else [bool(joint_mass) and ambiguous]
    for mass in masses:
        for combination in itertools.product(*choices):
            yield Reading(stages=dict(combination), joint_mass=mass)


def believe(
    logits: np.ndarray,
    order: Sequence[str],
    parameters: Mapping[str, np.ndarray],
    *,
    arithmetic: Precision,
    counts: Mapping[str, np.ndarray] | None = None,
    reading: Reading | None = None,
) -> Belief:
    """Return what every correct chain `order` makes of `logits`.

    Args:
      logits: [R, V]; -inf is masked; NaN and +inf have no reading and must be left out.
      order: stage names in the order applied.
      parameters: name -> [R] float64 (logit_bias: [R, V]).
      arithmetic: bands of the target's dtype.
      counts: stage -> [R, V] occurrences for the penalties.
      reading: the interpretation (default: the plainest).
    """
    reading = reading or Reading()
    belief = start(logits, arithmetic)
    unfiltered = belief
    for stage in order:
        item = technique(stage)
        function = load(item.oracle)
        arguments = {p.name: parameters[p.name] for p in item.parameters if p.name in parameters}
        arguments.pop("penalty_last_n", None)
        if stage == "xtc":
            arguments.setdefault("xtc_probability", np.ones(len(logits)))
        if item.reads_history:
            arguments["counts"] = (counts or {})[stage]
        number = reading.stages.get(stage, 0)
        if stage == "top_p" and reading.joint_mass:
            belief = _intersection(belief, function(unfiltered, reading=number, **arguments))
        else:
            belief = function(belief, reading=number, **arguments)
        if stage not in FILTERS:
            unfiltered = belief if not belief.greedy.any() else unfiltered
    return belief


def _intersection(one: Belief, other: Belief) -> Belief:
    must = one.must & other.must
    possible = one.possible & other.possible
    empty = ~possible.any(-1, keepdims=True)
    possible = np.where(empty, one.possible, possible)
    return one.replaced(must=must, may=possible & ~must, least=np.minimum(np.minimum(one.least, other.least), possible.sum(-1)))


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """Rows judged; every array is bool. A row without a violation passed.

    Attributes:
      never_kept: [R, V] a token of never has probability.
      must_missing: [R, V] a token of must has none.
      too_few: [R] fewer tokens than any correct answer has.
      out_of_band: [R, V] probability outside its interval.
      expected: [R, V] the exact distribution over the observed set.
      vacuous: [R] nothing could have been wrong.
    """

    never_kept: np.ndarray
    must_missing: np.ndarray
    too_few: np.ndarray
    out_of_band: np.ndarray
    expected: np.ndarray
    vacuous: np.ndarray

    @property
    def wrong(self) -> np.ndarray:
        """[R] bool."""
        return self.never_kept.any(-1) | self.must_missing.any(-1) | self.too_few | self.out_of_band.any(-1)


def judge_distributions(belief: Belief, observed: np.ndarray, *, values: str) -> Verdicts:
    """Judge the distributions [R, V] (normalised, float64, no NaN) a sampler gave.

    values: "logits" or "probs", the form in which the target returned them; tiny probabilities may be flushed to zero.
    """
    support = observed > 0
    possible = belief.possible
    nominal = np.where(possible, belief.z, -np.inf)
    top = nominal.max(-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    error = np.where(np.isfinite(belief.error), belief.error, 1e300)
    with np.errstate(invalid="ignore", over="ignore"):
        sunk = np.where(possible, nominal - top - error, 0) < max(_LOG_UNDERFLOW, np.log(belief.arithmetic.underflow))
    never_kept = support & ~possible
    must_missing = belief.must & ~support & ~sunk
    kept = (support & possible).sum(-1)
    flushed = (possible & sunk).sum(-1)
    too_few = kept < np.maximum(1, belief.least - flushed)
    expected = np.where(support & possible, belief.z, -np.inf)
    peak = expected.max(-1, keepdims=True)
    peak = np.where(np.isfinite(peak), peak, 0)
    weight = np.exp(expected - peak)
    expected = weight / np.maximum(weight.sum(-1, keepdims=True), 1e-300)
    unit = belief.arithmetic.unit
    size = observed.shape[-1]
    magnitude = np.where(possible, np.abs(np.where(possible, belief.z, 0)), 0)
    wobble = np.minimum(error + 6 * unit * magnitude, 700)
    heavy = np.where((expected > 0) & support, np.exp(np.minimum(np.log(np.maximum(expected, 1e-300)) + wobble, 0)), 0)
    shared = np.where(heavy > 1e-12, wobble, 0).max(-1, keepdims=True)
    slack = np.expm1(np.minimum(wobble + shared, 700)) + 4 * (size + 64) * unit
    floor = belief.arithmetic.underflow * size + (0.0 if values == "logits" else unit * 1e-3)
    out_of_band = (observed > expected * (1 + slack) + floor) | (observed < expected / (1 + slack) - floor)
    out_of_band &= support & possible & ~sunk & (observed >= 0)
    out_of_band &= ~(belief.greedy[:, None] & (belief.possible.sum(-1, keepdims=True) > 1))
    vacuous = ~belief.must.any(-1) & ~(~possible & (belief.z > -np.inf)).any(-1) & (belief.least <= 1) & (slack.min(-1) > 1)
    return Verdicts(
        never_kept=never_kept, must_missing=must_missing, too_few=too_few, out_of_band=out_of_band, expected=expected, vacuous=vacuous
    )


def judge_tokens(belief: Belief, tokens: np.ndarray) -> np.ndarray:
    """Return [R] bool: the token [R] (in range) is one that none may emit."""
    return ~np.take_along_axis(belief.possible, tokens[:, None].astype(np.int64), -1)[:, 0]
