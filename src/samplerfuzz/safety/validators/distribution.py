"""Whether the distributions behind a text are those of the model: its statistics against a baseline of ordinary texts.

A text and the texts of the baseline are compared as one pool (full conformal prediction, Vovk, Gammerman and Shafer 2005): every statistic's mean is
measured in robust units of the pool, a text's score is its largest, and p is the share of the pool that scores at least as much. Where the text
and those of the baseline come exchangeably, p ≤ α happens with a probability of at most α, however dependent the steps of a text are; the number
of statistics costs nothing. A baseline of n texts can alarm at α ≥ 1/(n + 1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from samplerfuzz.core.errors import UsageError
from samplerfuzz.safety.observation import Observation
from samplerfuzz.safety.profile import CHANGE, WATCHED, Profile, Step, Text, columns_of, load_profile, text_of
from samplerfuzz.safety.results import HIGH, INFO, MEDIUM, Result

ALPHA = 0.01
COUNTERS = {"nan": "a NaN among the logits", "inf": "an infinite logit", "all_masked": "no token that could be drawn"}
_FAR = 3.0  # times the largest score of the baseline
_NORMAL = 1.4826  # makes the median absolute deviation the standard deviation of a normal law
_TAILS = (0.005, 0.995)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A text beside a baseline.

    Attributes:
      p: share of the pool that scores at least as much.
      score: the text's; the largest of `units` over the statistics.
      largest: score of the baseline's texts.
      units: statistic -> how far its mean is from the pool's median, in robust units, with its sign.
    """

    p: float
    score: float
    largest: float
    units: Mapping[str, float]


class DistributionMonitor:
    """Says "medium" where a text's statistics are not those of the baseline, "high" where they are far from any, or a step had no distribution."""

    name = "distribution"

    def __init__(self, profile: Profile | Path | None = None, *, alpha: float = ALPHA) -> None:
        """Compare with a baseline.

        Args:
          profile: the baseline or its file; None: only NaN, infinities and empty steps are noticed, and every check says so.
          alpha: chance in (0, 1) of an alarm on a text like those of the baseline.

        Raises:
          UsageError: no such file, or `alpha` outside (0, 1).
        """
        if not 0 < alpha < 1:
            raise UsageError(f"alpha={alpha}: expected a chance in (0, 1)")
        self.profile = load_profile(profile) if isinstance(profile, Path) else profile
        self.alpha = alpha

    def check(self, observation: Observation) -> Iterator[Result]:
        """Yield a result a counter that is not 0, one where the text is unlike the baseline, or one that says why nothing was compared."""
        steps = observation.statistics
        if not steps:
            yield self._nothing("no statistics given: no distribution was examined")
            return
        yield from self._counted(steps)
        if self.profile is None:
            yield self._nothing("no profile given: the statistics were compared with nothing")
            return
        if (len(self.profile.texts) + 1) * self.alpha < 1:
            wanted = math.ceil(1 / self.alpha - 1e-9) - 1
            yield self._nothing(
                f"a profile of {len(self.profile.texts)} texts cannot alarm at alpha={self.alpha:g}; take one of at least {wanted}"
            )
            return
        columns = columns_of(steps)
        found = compare(text_of(columns), self.profile.texts)
        if found is None:
            yield self._nothing("the statistics given and those of the profile have none in common")
        elif found.p <= self.alpha:
            yield self._alarm(found, columns)

    def _counted(self, steps: Sequence[Step]) -> Iterator[Result]:
        for name, what in COUNTERS.items():
            struck = [at for at, step in enumerate(steps) if step.get(name)]
            if struck:
                message = f"{len(struck)} of {len(steps)} steps had {what}, the first of them step {struck[0]}"
                yield Result(
                    validator=self.name,
                    severity=HIGH,
                    message=message,
                    evidence={"counter": name, "steps": len(struck), "first": struck[0]},
                )

    def _alarm(self, found: Comparison, columns: Mapping[str, Sequence[float]]) -> Result:
        worst = max(found.units, key=lambda name: abs(found.units[name]))
        side = "above" if found.units[worst] > 0 else "below"
        evidence: dict[str, Any] = {
            "p": found.p,
            "alpha": self.alpha,
            "texts": len(self.profile.texts) if self.profile else 0,
            "units": {name: round(value, 3) for name, value in found.units.items()},
            "outside": self._outside(columns),
        }
        return Result(
            validator=self.name,
            severity=HIGH if found.score > _FAR * found.largest else MEDIUM,
            message=f"the text's distributions are not the model's (p = {found.p:.2g} ≤ {self.alpha:g}): {worst} is "
            f"{abs(found.units[worst]):.1f} robust units {side} the baseline's median",
            evidence=evidence,
        )

    def _outside(self, columns: Mapping[str, Sequence[float]]) -> dict[str, float]:
        """Return, for each statistic, the share of the steps outside of what 99 % of the baseline's steps have."""
        shares = {}
        for name, sketch in (self.profile.steps if self.profile else {}).items():
            if sketch.count and columns.get(name):
                low, high = (sketch.quantile(q) for q in _TAILS)
                shares[name] = sum(not low <= x <= high for x in columns[name]) / len(columns[name])
        return shares

    def _nothing(self, message: str) -> Result:
        return Result(validator=self.name, severity=INFO, message=message)


def compare(text: Text, baseline: Sequence[Text]) -> Comparison | None:
    """Compare a text with those of a baseline; None where they have no statistic in common."""
    pool = (*baseline, text)
    usual = median(member.steps for member in pool)
    units: list[dict[str, float]] = [{} for _ in pool]
    for name in (*WATCHED, CHANGE):
        known = [member.means[name] for member in pool if name in member.means]
        if name not in text.means or len(known) < 2:
            continue
        centre = median(known)
        spread = _NORMAL * median(abs(x - centre) for x in known)
        unit = max(spread, 1e-9 * max(1.0, abs(centre)))
        for mine, member in zip(units, pool, strict=True):
            if name in member.means:
                # the mean of a short text strays further
                mine[name] = (member.means[name] - centre) / unit * math.sqrt(min(1.0, member.steps / max(usual, 1)))
    if not units[-1]:
        return None
    scores = [max((abs(x) for x in mine.values()), default=0.0) for mine in units]
    return Comparison(
        p=sum(score >= scores[-1] for score in scores) / len(scores),
        score=scores[-1],
        largest=max(scores[:-1], default=0.0),
        units=units[-1],
    )
