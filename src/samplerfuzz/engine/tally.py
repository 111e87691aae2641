"""What a campaign counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.engine.events import Checkpoint


@dataclass(kw_only=True)
class Tally:
    """Pairs, their outcomes, what each check judged, and the regimes covered."""

    pairs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    covered: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, last: Checkpoint) -> Tally:
        """Return the numbers of an earlier process."""
        return cls(pairs=last.pairs, outcomes=Counter(last.outcomes), checks=Counter(last.checks), covered=Counter(last.covered))

    def count(self, judgement: Judgement, wrong: int, checks: Iterable[str]) -> None:
        """Add one call in which `wrong` rows were found by `checks`."""
        case, outcome = judgement.case, judgement.outcome
        self.pairs += case.rows
        if outcome.kind != "value":
            self.outcomes["refused" if outcome.kind == "raised" else outcome.kind] += case.rows
            return
        judged = int(judgement.judged.sum())
        self.outcomes["finding"] += wrong
        self.outcomes["inconclusive"] += judgement.vacuous
        self.outcomes["pass"] += max(0, judged - judgement.vacuous - wrong)
        self.outcomes["unjudged"] += case.rows - judged
        self.covered[case.regime] += judged
        for name in checks:
            self.checks[name] += judged

    def seen(self) -> dict[str, int]:
        """Return outcome -> pairs of those that occurred."""
        return {name: count for name, count in self.outcomes.items() if count}
